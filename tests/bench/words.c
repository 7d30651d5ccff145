/* Words of a text counted in a hash table with chains, characters told apart by a switch. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SIZE = 1 << 18, BUCKETS = 1 << 12 };
struct word {
    struct word *next;
    uint32_t count, length;
    const char *text;
};
static char text[SIZE + 1];
static struct word *table[BUCKETS], words[SIZE / 2];

static void write_text(void) {
    static const char letters[] = "etaoinshrdlucmfwypvbgkjqxz";
    uint32_t state = 7;
    for (int i = 0; i < SIZE; i++) {
        state = state * 1664525 + 1013904223;
        uint32_t roll = state >> 24;
        text[i] = roll < 50 ? ' ' : roll < 54 ? '\n' : roll < 58 ? '.' : roll < 64 ? (char)('0' + roll % 10) : letters[roll * roll >> 12];
    }
}

int main(int argc, char **argv) {
    int rounds = argc > 1 ? atoi(argv[1]) : 10;
    uint32_t used = 0, lines = 0, sentences = 0, digits = 0, most = 0;
    write_text();
    for (int r = 0; r < rounds; r++) {
        uint32_t hash = 0, start = 0;
        for (uint32_t i = 0; i <= SIZE; i++) {
            char c = text[i];
            switch (c) {
            case '\n': lines++; goto space;
            case '.': sentences++; goto space;
            case '0': case '1': case '2': case '3': case '4': case '5': case '6': case '7': case '8': case '9': digits += (uint32_t)(c - '0'); goto space;
            case ' ': case 0:
            space:
                if (i > start) {
                    struct word **chain = &table[hash % BUCKETS], *w = *chain;
                    while (w && !(w->length == i - start && memcmp(w->text, text + start, w->length) == 0)) w = w->next;
                    if (!w) {
                        w = &words[used++];
                        *w = (struct word){*chain, 0, i - start, text + start};
                        *chain = w;
                    }
                    if (++w->count > most) most = w->count;
                }
                hash = 0;
                start = i + 1;
                break;
            default: hash = hash * 31 + (uint8_t)c;
            }
        }
    }
    printf("%u words, most %u, %u %u %u\n", used, most, lines, sentences, digits);
}
