// mmap, mprotect, mremap, munmap, brk, madvise and files in memory.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static int failures;

static void check(int ok, const char *what) {
    if (!ok) {
        printf("failed: %s (%s)\n", what, strerror(errno));
        failures++;
    }
}

enum { PAGE = 4096 };
static const int RW = PROT_READ | PROT_WRITE, ANON = MAP_PRIVATE | MAP_ANONYMOUS;

static void anonymous(void) {
    char *a = mmap(NULL, 8 * PAGE, RW, ANON, -1, 0);
    check(a != MAP_FAILED && a[8 * PAGE - 1] == 0, "map");
    memset(a, 1, 8 * PAGE);
    check(munmap(a + 2 * PAGE, 2 * PAGE) == 0, "hole");
    check(mprotect(a, 8 * PAGE, PROT_READ) < 0 && errno == ENOMEM, "mprotect over a hole");
    check(mmap(a + 2 * PAGE, 2 * PAGE, RW, ANON | MAP_FIXED_NOREPLACE, -1, 0) == a + 2 * PAGE, "fill the hole");
    check(a[2 * PAGE] == 0 && a[4 * PAGE] == 1, "contents");
    check(mmap(a, PAGE, RW, ANON | MAP_FIXED_NOREPLACE, -1, 0) == MAP_FAILED && errno == EEXIST, "no replacing");
    check(mprotect(a + 2 * PAGE, 6 * PAGE, RW) == 0, "mprotect back");
    check(mmap(a, PAGE, RW, ANON | MAP_FIXED, -1, 0) == a && a[0] == 0, "replacing");
    check(madvise(a + 4 * PAGE, PAGE, MADV_DONTNEED) == 0 && a[4 * PAGE] == 0, "MADV_DONTNEED");
    check(munmap(a, 8 * PAGE) == 0 && munmap(a, 8 * PAGE) == 0, "unmap twice");
    check(mmap(a, 0, RW, ANON, -1, 0) == MAP_FAILED && errno == EINVAL, "length 0");
    check(mmap((void *)1, PAGE, RW, ANON | MAP_FIXED, -1, 0) == MAP_FAILED && errno == EINVAL, "unaligned");
    check(mmap(NULL, (size_t)1 << 60, RW, ANON, -1, 0) == MAP_FAILED && errno == ENOMEM, "too long");
}

static void remapping(void) {
    char *a = mmap(NULL, 4 * PAGE, RW, ANON, -1, 0);
    strcpy(a + 3 * PAGE, "moved");
    char *b = mremap(a, 4 * PAGE, 64 * PAGE, MREMAP_MAYMOVE);
    check(b != MAP_FAILED && !strcmp(b + 3 * PAGE, "moved") && b[63 * PAGE] == 0, "grow");
    check(mremap(b, 64 * PAGE, 4 * PAGE, 0) == b, "shrink");
    char *target = mmap(NULL, 8 * PAGE, PROT_NONE, ANON, -1, 0);
    char *c = mremap(b, 4 * PAGE, 4 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, target);
    check(c == target && !strcmp(c + 3 * PAGE, "moved"), "move to a place");
    unsigned char resident;
    check(mincore(b, PAGE, &resident) < 0 && errno == ENOMEM, "old place is gone");
    munmap(c, 8 * PAGE);
}

// What is advised or locked, and what is moved or mapped where nothing is.
static void advised(void) {
    char *a = mmap(NULL, 8 * PAGE, RW, ANON, -1, 0);
    memset(a, 3, 8 * PAGE);
    static const int advice[] = {MADV_NORMAL, MADV_RANDOM, MADV_SEQUENTIAL, MADV_WILLNEED};
    for (unsigned i = 0; i < sizeof advice / sizeof *advice; i++) {
        check(madvise(a, 8 * PAGE, advice[i]) == 0 && a[7 * PAGE] == 3, "advice");
        check(madvise(a + 1, PAGE, advice[i]) < 0 && errno == EINVAL, "advice on half a page");
    }
    check(madvise(a, PAGE, 12345) < 0 && errno == EINVAL, "no advice");
    check(mlock(a, PAGE + 1) == 0 && munlock(a, PAGE + 1) == 0 && a[PAGE] == 3, "mlock");
    munmap(a + 2 * PAGE, 2 * PAGE);
    for (unsigned i = 0; i < sizeof advice / sizeof *advice; i++) {
        check(madvise(a, 8 * PAGE, advice[i]) < 0 && errno == ENOMEM, "advice on a hole");
    }
    check(mlock(a, 8 * PAGE) < 0 && errno == ENOMEM, "mlock of a hole");
    check(msync(a, 8 * PAGE, MS_ASYNC) < 0 && errno == ENOMEM, "msync of a hole");
    char *b = mremap(a, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, a + 2 * PAGE);
    check(b == a + 2 * PAGE && b[PAGE] == 3, "move into a hole");
    check(mmap(a, 3 * PAGE, RW, ANON | MAP_FIXED, -1, 0) == a && a[2 * PAGE] == 0 && b[PAGE] == 3, "over half a hole");
    check(madvise(a, 2 * PAGE, MADV_DONTNEED) == 0 && a[PAGE] == 0, "MADV_DONTNEED again");
    munmap(a, 8 * PAGE);
}

static void reservations(void) {
    // As language runtimes do: a great deal of address space, used in small parts.
    size_t huge = (size_t)1 << 42;
    char *a = mmap(NULL, huge, PROT_NONE, ANON | MAP_NORESERVE, -1, 0);
    check(a != MAP_FAILED, "4 TiB");
    check(mprotect(a + huge / 2, PAGE, RW) == 0, "use a page of it");
    a[huge / 2] = 5;
    check(a[huge / 2] == 5 && munmap(a, huge) == 0, "and give it back");
    char *wish = mmap((void *)0x123450000, PAGE, RW, ANON, -1, 0);
    check(wish == (char *)0x123450000, "address wish");
    munmap(wish, PAGE);
}

static void files(void) {
    char name[] = "/tmp/isamorph-memory-XXXXXX";
    int fd = mkstemp(name);
    unlink(name);
    check(fd >= 0 && ftruncate(fd, 2 * PAGE) == 0 && pwrite(fd, "file", 4, PAGE) == 4, "file");
    char *shared = mmap(NULL, 2 * PAGE, RW, MAP_SHARED, fd, 0);
    char *private = mmap(NULL, PAGE, RW, MAP_PRIVATE, fd, PAGE);
    check(!memcmp(shared + PAGE, "file", 4) && !memcmp(private, "file", 4), "both see it");
    memcpy(shared, "shared", 6);
    memcpy(private, "hidden", 6);
    char text[6];
    check(pread(fd, text, 6, 0) == 6 && !memcmp(text, "shared", 6), "shared is written through");
    check(pread(fd, text, 6, PAGE) == 6 && !memcmp(text, "file\0\0", 6), "private is not");
    check(msync(shared, 2 * PAGE, MS_SYNC) == 0, "msync");
    munmap(shared, 2 * PAGE);
    munmap(private, PAGE);
    close(fd);
}

static int frees(void *at, size_t len) { return madvise(at, len, MADV_FREE) ? errno : 0; }

static void freeing(void) {
    // What can be freed may stay, or be gone; but only anonymous memory that is not locked can be.
    char *a = mmap(NULL, 4 * PAGE, RW, ANON, -1, 0);
    memset(a, 1, 4 * PAGE);
    check(frees(a, 4 * PAGE) == 0 && (a[0] == 0 || a[0] == 1), "MADV_FREE");
    a[PAGE] = 2;
    check(frees(a + 1, PAGE) == EINVAL && a[PAGE] == 2, "MADV_FREE not of a page");
    check(frees(a, 0) == 0, "MADV_FREE of nothing");
    munmap(a + 2 * PAGE, PAGE);
    check(frees(a, 4 * PAGE) == ENOMEM, "MADV_FREE over a hole");
    munmap(a, 4 * PAGE);
    int fd = open("/proc/self/exe", O_RDONLY);
    char *file = mmap(NULL, PAGE, RW, MAP_PRIVATE, fd, 0), *shared = mmap(NULL, PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    file[0] = shared[0] = 1;
    check(frees(file, PAGE) == EINVAL && file[0] == 1, "MADV_FREE of a file");
    check(frees(shared, PAGE) == EINVAL && shared[0] == 1, "MADV_FREE of shared memory");
    munmap(file, PAGE);
    munmap(shared, PAGE);
    close(fd);
    char *locked = mmap(NULL, PAGE, RW, ANON | MAP_LOCKED, -1, 0);
    check(locked == MAP_FAILED || frees(locked, PAGE) == EINVAL, "MADV_FREE of locked memory");
    if (locked != MAP_FAILED) munmap(locked, PAGE);
}

static void heap(void) {
    char *start = sbrk(0);
    check(sbrk(1 << 20) == start, "grow the heap");
    memset(start, 7, 1 << 20);
    check(sbrk(-(1 << 20)) == start + (1 << 20) && sbrk(0) == start, "shrink it");
    check(sbrk(1 << 20) == start && start[PAGE] == 0, "fresh pages");
    void *blocks[200];
    for (int i = 0; i < 200; i++) blocks[i] = memset(malloc((size_t)i * 4000 + 1), i, (size_t)i * 4000 + 1);
    for (int i = 0; i < 200; i++) {
        check(((unsigned char *)blocks[i])[i * 4000] == i, "malloc");
        free(blocks[i]);
    }
}

static void bad_pointers(void) {
    check(write(1, (void *)8, 4) < 0 && errno == EFAULT, "write from nowhere");
    check(open((char *)16, O_RDONLY) < 0 && errno == EFAULT, "open nowhere");
    check(write(1, (void *)(uintptr_t)0xdead000000000000, 4) < 0 && errno == EFAULT, "non-canonical");
}

int main(void) {
    anonymous();
    remapping();
    advised();
    reservations();
    files();
    freeing();
    heap();
    bad_pointers();
    puts(failures ? "failed" : "ok");
    return failures != 0;
}
