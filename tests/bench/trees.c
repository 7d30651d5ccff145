/* Binary trees built, walked and freed: allocation, recursion, pointers. */
#include <stdio.h>
#include <stdlib.h>

struct tree {
    struct tree *left, *right;
};

static struct tree *grow(int depth) {
    struct tree *t = malloc(sizeof *t);
    t->left = depth ? grow(depth - 1) : NULL;
    t->right = depth ? grow(depth - 1) : NULL;
    return t;
}

static long count(const struct tree *t) { return t ? 1 + count(t->left) + count(t->right) : 0; }

static void fell(struct tree *t) {
    if (!t) return;
    fell(t->left);
    fell(t->right);
    free(t);
}

int main(int argc, char **argv) {
    int depth = argc > 1 ? atoi(argv[1]) : 14;
    struct tree *old = grow(depth);
    long nodes = 0;
    for (int d = 4; d <= depth; d += 2)
        for (int i = 0; i < 1 << (depth - d); i++) {
            struct tree *t = grow(d);
            nodes += count(t);
            fell(t);
        }
    printf("%ld %ld\n", nodes, count(old));
    fell(old);
}
