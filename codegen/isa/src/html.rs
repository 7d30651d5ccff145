//! What the pages have in common.

/// Text for a page.
pub(crate) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// A page with a title and a search field that hides the `section`s without the words typed.
pub(crate) fn page(title: &str, body: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title><style>{STYLE}</style></head>\n\
         <body><h1>{title}</h1>\n<input id=\"search\" placeholder=\"search\" autofocus>\n{body}\n<script>{SEARCH}</script></body></html>\n"
    )
}

const STYLE: &str = "body{font-family:sans-serif;max-width:70em;margin:1em auto;padding:0 1em}\
    h2{margin:1.5em 0 .3em;font-size:1.1em}pre{background:#f4f4f4;padding:.6em;overflow-x:auto}\
    table{border-collapse:collapse;margin:.5em 0}td,th{border:1px solid #999;padding:.15em .4em;text-align:center;font-size:.85em}\
    .bits td{font-family:monospace}.bits .field{background:#e6f0ff}.number td{border:0;color:#777;font-size:.7em}\
    .text td{text-align:left;font-family:monospace}.none{background:#fdd}input{width:100%;padding:.4em;font-size:1em}";

const SEARCH: &str = "const input=document.getElementById('search');input.oninput=()=>{const words=input.value.toLowerCase()\
    .split(/\\s+/);for(const s of document.querySelectorAll('section')){const text=s.textContent.toLowerCase();\
    s.hidden=!words.every(w=>text.includes(w))}};";
