/* A greedy LZ77 compressor with a hash table, and its decoder: bytes, shifts, short copies. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { N = 1 << 18, HASH = 1 << 14, MIN = 4, MAX = 255 };
static uint8_t text[N], packed[2 * N], again[N];
static int32_t last[HASH];

static uint32_t hash(const uint8_t *p) {
    return (p[0] | p[1] << 8 | p[2] << 16 | (uint32_t)p[3] << 24) * 2654435761u >> 18;
}

/* Tokens: 0 and a byte, or a length and the distance in two bytes. */
static size_t pack(void) {
    size_t out = 0;
    memset(last, -1, sizeof last);
    for (size_t i = 0; i < N;) {
        size_t length = 0, from = 0;
        if (i + MIN <= N) {
            uint32_t h = hash(text + i);
            int32_t candidate = last[h];
            last[h] = (int32_t)i;
            if (candidate >= 0 && i - candidate < 65536) {
                from = candidate;
                while (length < MAX && i + length < N && text[from + length] == text[i + length]) length++;
            }
        }
        if (length < MIN) {
            packed[out++] = 0;
            packed[out++] = text[i++];
        } else {
            size_t distance = i - from;
            packed[out++] = (uint8_t)length;
            packed[out++] = (uint8_t)distance;
            packed[out++] = (uint8_t)(distance >> 8);
            i += length;
        }
    }
    return out;
}

static size_t unpack(size_t size) {
    size_t out = 0;
    for (size_t i = 0; i < size;) {
        size_t length = packed[i++];
        if (length == 0) {
            again[out++] = packed[i++];
            continue;
        }
        size_t from = out - (packed[i] | packed[i + 1] << 8);
        i += 2;
        while (length--) again[out++] = again[from++];
    }
    return out;
}

int main(int argc, char **argv) {
    int rounds = argc > 1 ? atoi(argv[1]) : 20;
    uint32_t state = 1;
    for (size_t i = 0; i < N; i++) {
        state = state * 1664525 + 1013904223;
        text[i] = state >> 30 && i > 64 ? text[i - 64 + (state >> 28 & 3)] : 'a' + (state >> 24) % 20;
    }
    size_t sum = 0;
    for (int r = 0; r < rounds; r++) {
        text[r] ^= 1;
        size_t size = pack();
        sum += size + unpack(size);
        if (memcmp(text, again, N)) return 1;
    }
    printf("%zu\n", sum);
}
