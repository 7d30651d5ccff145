/* An interpreter of a small byte code: a switch, that is an indirect jump, for each of its instructions. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { PUSH, ADD, SUB, MUL, XOR, SHIFT, LOAD, STORE, DUP, SWAP, JUMP_NOT_ZERO, HALT };

/* x = 1; for (n = count; n; n--) x = x * 31 + n ^ x >> 7 */
static const uint8_t program[] = {
    PUSH, 1, STORE, 0,
    LOAD, 0, PUSH, 31, MUL, LOAD, 1, ADD, LOAD, 0, PUSH, 7, SHIFT, XOR, STORE, 0,
    LOAD, 1, PUSH, 1, SUB, DUP, STORE, 1, JUMP_NOT_ZERO, 4,
    LOAD, 0, HALT,
};

static uint64_t run(uint64_t count) {
    uint64_t stack[16], *top = stack, variables[4] = {0, count};
    const uint8_t *at = program;
    for (;;) {
        switch (*at++) {
        case PUSH: *top++ = *at++; break;
        case ADD: top--; top[-1] += top[0]; break;
        case SUB: top--; top[-1] -= top[0]; break;
        case MUL: top--; top[-1] *= top[0]; break;
        case XOR: top--; top[-1] ^= top[0]; break;
        case SHIFT: top--; top[-1] >>= top[0] & 63; break;
        case LOAD: *top++ = variables[*at++]; break;
        case STORE: variables[*at++] = *--top; break;
        case DUP: top[0] = top[-1]; top++; break;
        case SWAP: { uint64_t t = top[-1]; top[-1] = top[-2]; top[-2] = t; break; }
        case JUMP_NOT_ZERO: at = *--top ? program + *at : at + 1; break;
        case HALT: return top[-1];
        }
    }
}

int main(int argc, char **argv) {
    printf("%llu\n", (unsigned long long)run(argc > 1 ? strtoull(argv[1], NULL, 0) : 3000000));
}
