/* The ten most frequent words of the files named, or of standard input: the program of the README's first command.
 * `tests/prebuilt/build.sh` makes the binaries beside it. */
#include "libc.h"

struct word {
    char *text;
    unsigned long count;
};

static struct word *table;
static size_t capacity = 1024, used;

static size_t slot_of(const char *text) {
    size_t hash = 5381;
    for (const char *p = text; *p; p++) hash = hash * 33 ^ (unsigned char)*p;
    size_t at = hash & (capacity - 1);
    while (table[at].text && strcmp(table[at].text, text) != 0) at = (at + 1) & (capacity - 1);
    return at;
}

static struct word *new_table(void) { return memset(allocate(capacity * sizeof *table), 0, capacity * sizeof *table); }

static void grow(void) {
    struct word *old = table;
    size_t n = capacity;
    capacity *= 2;
    table = new_table();
    for (size_t i = 0; i < n; i++)
        if (old[i].text) table[slot_of(old[i].text)] = old[i];
}

static void count(const char *text) {
    size_t at = slot_of(text);
    if (!table[at].text) {
        size_t size = strlen(text) + 1;
        table[at].text = memcpy(allocate(size), text, size);
        used++;
    }
    table[at].count++;
    if (used * 2 > capacity) grow();
}

static int letter(int c) { return c >= 'a' && c <= 'z' ? c : c >= 'A' && c <= 'Z' ? c + 32 : 0; }

static int read_words(int fd) {
    static char buffer[65536];
    char word[64];
    size_t n = 0;
    for (;;) {
        ssize_t got = system_call(SYS_read, fd, (long)buffer, sizeof buffer, 0);
        if (got < 0) return 1;
        for (ssize_t i = 0; i < got; i++) {
            int c = letter(buffer[i]);
            if (c && n + 1 < sizeof word) {
                word[n++] = c;
            } else if (!c && n) {
                word[n] = 0;
                count(word);
                n = 0;
            }
        }
        if (got == 0) {
            word[n] = 0;
            if (n) count(word);
            return 0;
        }
    }
}

static int comes_before(const struct word *a, const struct word *b) {
    return a->count != b->count ? a->count > b->count : strcmp(a->text, b->text) < 0;
}

static void print_word(const struct word *w) {
    char line[96];
    size_t at = 8;
    memset(line, ' ', sizeof line);
    for (unsigned long n = w->count, i = 6; n; n /= 10, i--) line[i] = '0' + n % 10;
    size_t length = strlen(w->text);
    memcpy(line + at, w->text, length);
    line[at + length] = '\n';
    line[at + length + 1] = 0;
    print(1, line);
}

int main(int argc, char **argv) {
    int status = 0;
    table = new_table();
    if (argc < 2) status = read_words(0);
    for (int i = 1; i < argc; i++) {
        int fd = system_call(SYS_openat, AT_FDCWD, (long)argv[i], 0, 0);
        if (fd < 0 || read_words(fd)) {
            print(2, "wordfreq: cannot read ");
            print(2, argv[i]);
            print(2, "\n");
            status = 1;
        }
        if (fd >= 0) system_call(SYS_close, fd, 0, 0, 0);
    }
    for (int rank = 0; rank < 10; rank++) {
        struct word *best = 0;
        for (size_t i = 0; i < capacity; i++)
            if (table[i].text && (!best || comes_before(&table[i], best))) best = &table[i];
        if (!best) break;
        print_word(best);
        best->text = 0;
    }
    return status;
}
