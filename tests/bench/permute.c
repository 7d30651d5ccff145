/* All permutations of a few numbers, and how often their prefixes can be turned over: small loops with unpredictable ends. */
#include <stdio.h>
#include <stdlib.h>

static int flips(const int *from, int n) {
    int at[16], count = 0;
    for (int i = 0; i < n; i++) at[i] = from[i];
    for (int first; (first = at[0]) != 0; count++)
        for (int i = 0, j = first; i < j; i++, j--) {
            int t = at[i];
            at[i] = at[j];
            at[j] = t;
        }
    return count;
}

int main(int argc, char **argv) {
    int n = argc > 1 ? atoi(argv[1]) : 9;
    int order[16], turns[16] = {0}, most = 0, sum = 0, odd = 0;
    for (int i = 0; i < n; i++) order[i] = i;
    for (;;) {
        int count = flips(order, n);
        if (count > most) most = count;
        sum += odd ? -count : count;
        odd = !odd;
        int k = 1;
        for (;; k++) { /* the next permutation: prefixes rotate */
            if (k == n) {
                printf("%d %d\n", most, sum);
                return 0;
            }
            int first = order[0];
            for (int i = 0; i < k; i++) order[i] = order[i + 1];
            order[k] = first;
            if (++turns[k] <= k) break;
            turns[k] = 0;
        }
    }
}
