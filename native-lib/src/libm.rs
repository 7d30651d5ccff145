//! Exact functions of complex and floating-point numbers, on their bits: no rounding, no flag, whatever the modes are. What
//! could raise a flag or depend on the processor, as operations on NaNs do, is left to the guest.

const SIGN: u64 = 1 << 63;
const INFINITY: u64 = 0x7ff << 52;
const HIDDEN: u64 = 1 << 52;

fn is_nan(bits: u64) -> bool {
    bits & !SIGN > INFINITY
}

/// The complex conjugate.
pub(crate) fn conj(z: &[u64], result: &mut [u64]) -> bool {
    let (&[re, im], [a, b, ..]) = (z, result) else { return false };
    (*a, *b) = (re, im ^ SIGN);
    !is_nan(re) && !is_nan(im)
}

/// The projection onto the sphere: one infinity.
pub(crate) fn cproj(z: &[u64], result: &mut [u64]) -> bool {
    let (&[re, im], [a, b, ..]) = (z, result) else { return false };
    let infinite = re & !SIGN == INFINITY || im & !SIGN == INFINITY;
    (*a, *b) = if infinite { (INFINITY, im & SIGN) } else { (re, im) };
    !is_nan(re) && !is_nan(im)
}

/// The remainder of a division with a quotient rounded to zero. Of normal numbers, with a normal or zero result.
pub(crate) fn fmod(args: &[u64], result: &mut [u64]) -> bool {
    let (&[x, y], [r, ..]) = (args, result) else { return false };
    let normal = |bits: u64| (HIDDEN..INFINITY).contains(&(bits & !SIGN));
    if !normal(x) || !normal(y) {
        return false;
    }
    let exponent = |bits: u64| (bits >> 52 & 0x7ff) as i64;
    let (mut m, d) = (x & (HIDDEN - 1) | HIDDEN, y & (HIDDEN - 1) | HIDDEN);
    let (mut above, low) = (exponent(x) - exponent(y), exponent(y));
    if above < 0 {
        *r = x;
        return true;
    }
    m %= d;
    while above > 0 && m != 0 {
        // 53 bits and 11 more.
        let step = above.min(11);
        m = (m << step) % d;
        above -= step;
    }
    let up = m.leading_zeros() as i64 - 11;
    if m != 0 && up >= low {
        return false;
    }
    let bits = if m == 0 { 0 } else { (m << up) - HIDDEN + (((low - up) as u64) << 52) };
    *r = x & SIGN | bits;
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(f: fn(&[u64], &mut [u64]) -> bool, args: [f64; 2]) -> Option<[f64; 2]> {
        let mut result = [0; 2];
        f(&args.map(f64::to_bits), &mut result).then(|| result.map(f64::from_bits))
    }

    #[test]
    fn remainders_are_the_hosts() {
        let mut seed = 1_u64;
        let mut checked = 0;
        for n in 0..200_000 {
            let mut next = || {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                seed ^ seed >> 29
            };
            let (mut x, mut y) = (f64::from_bits(next()), f64::from_bits(next()));
            if n % 2 == 0 {
                (x, y) = ((next() % 100_000) as f64 / 8.0, (next() % 1000) as f64 / 8.0);
            }
            if let Some([r, _]) = call(fmod, [x, y]) {
                assert_eq!(r.to_bits(), (x % y).to_bits(), "{x:e} {y:e}");
                checked += 1;
            } else {
                let odd = |v: f64| !v.is_normal();
                assert!(odd(x) || odd(y) || odd(x % y), "{x:e} {y:e}");
            }
        }
        assert!(checked > 150_000);
    }

    #[test]
    fn infinities_are_projected() {
        assert_eq!(call(cproj, [1.0, f64::NEG_INFINITY]).map(|z| z.map(f64::to_bits)), Some([INFINITY, SIGN]));
        assert_eq!(call(cproj, [1.0, -2.0]), Some([1.0, -2.0]));
        assert_eq!(call(conj, [1.0, -2.0]), Some([1.0, 2.0]));
        assert_eq!(call(conj, [1.0, f64::NAN]), None);
    }
}
