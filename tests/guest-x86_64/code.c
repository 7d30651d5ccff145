// Code that changes while it runs: rewritten from outside, by itself just ahead, and by the kernel. Nothing announces it.
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

typedef int function(void);

// mov eax, n; ret
static void write_function(unsigned char *at, int n) {
    unsigned char code[] = {0xb8, 0, 0, 0, 0, 0xc3};
    memcpy(code + 1, &n, 4);
    memcpy(at, code, sizeof code);
}

int main(void) {
    unsigned char *page =
        mmap(0, 8192, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    int sum = 0;
    for (int i = 0; i < 1000; i++) {
        write_function(page, i);
        sum += ((function *)page)();
    }
    printf("rewritten: %d\n", sum);

    // xor eax, eax; mov byte ptr [rip + 1], 7; mov al, 0; ret: the store changes the next instruction
    unsigned char ahead[] = {0x31, 0xc0, 0xc6, 0x05, 1, 0, 0, 0, 7, 0xb0, 0, 0xc3};
    memcpy(page + 64, ahead, sizeof ahead);
    printf("ahead: %d\n", ((function *)(page + 64))());

    int ends[2];
    unsigned char code[] = {0xb8, 9, 0, 0, 0, 0xc3};
    if (pipe(ends) || write(ends[1], code, sizeof code) != sizeof code)
        return 1;
    ((function *)page)();
    long got = read(ends[0], page, sizeof code);
    printf("kernel: %ld %d\n", got, ((function *)page)());

    // across two pages, and with the permission to write taken and given
    write_function(page + 4093, 1);
    sum = ((function *)(page + 4093))();
    page[4094] = 20;
    sum += ((function *)(page + 4093))();
    mprotect(page, 8192, PROT_READ | PROT_EXEC);
    sum += ((function *)(page + 4093))();
    mprotect(page, 8192, PROT_READ | PROT_WRITE | PROT_EXEC);
    write_function(page + 4093, 300);
    sum += ((function *)(page + 4093))();
    printf("across: %d\n", sum);
    return 0;
}
