// fork, exec of itself, pipes, wait, vfork through posix_spawn, and the exit status of children that die.
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static void report(const char *what, int status) {
    if (WIFEXITED(status)) printf("%s: exit %d\n", what, WEXITSTATUS(status));
    else if (WIFSIGNALED(status)) printf("%s: signal %d\n", what, WTERMSIG(status));
    fflush(stdout);
}

static int wait_for(pid_t pid) {
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {}
    return status;
}

static void pipes(void) {
    int to_child[2], from_child[2];
    if (pipe(to_child) || pipe(from_child)) exit(1);
    pid_t pid = fork();
    if (pid == 0) {
        char text[64];
        ssize_t n = read(to_child[0], text, sizeof text);
        for (ssize_t i = 0; i < n; i++) text[i] ^= 0x20;
        _exit(write(from_child[1], text, n) == n ? 7 : 8);
    }
    char answer[64] = "";
    if (write(to_child[1], "PIPE", 4) != 4) exit(1);
    ssize_t n = read(from_child[0], answer, sizeof answer);
    printf("%.*s\n", (int)n, answer);
    report("fork", wait_for(pid));
}

static void executing(const char *self) {
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        char *args[] = {"renamed", "child", "two words", NULL};
        setenv("GREETING", "good day", 1);
        execv(self, args);
        _exit(99);
    }
    report("execv", wait_for(pid));
    pid = fork();
    if (pid == 0) {
        char *args[] = {"none", NULL};
        execv("/nonexistent/program", args);
        _exit(errno == ENOENT ? 5 : 6);
    }
    report("no program", wait_for(pid));
}

static void spawning(const char *self) {
    char *args[] = {"spawned", "child", "x", NULL};
    pid_t pid;
    fflush(stdout);
    if (posix_spawn(&pid, self, NULL, NULL, args, environ)) exit(1);
    report("posix_spawn", wait_for(pid));
    // The error comes back through memory shared with the child.
    int error = posix_spawn(&pid, "/nonexistent/program", NULL, NULL, args, environ);
    printf("posix_spawn of nothing: %s\n", strerror(error));
    printf("system: %d\n", WEXITSTATUS(system("exit 3")));
}

static void dying(void) {
    const int signals[] = {SIGTERM, SIGKILL, SIGABRT, SIGSEGV};
    for (unsigned i = 0; i < sizeof signals / sizeof *signals; i++) {
        fflush(stdout);
        pid_t pid = fork();
        if (pid == 0) {
            if (signals[i] == SIGABRT) abort();
            raise(signals[i]);
            _exit(0);
        }
        report("child", wait_for(pid));
    }
}

int main(int argc, char **argv) {
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc > 1 && !strcmp(argv[1], "child")) {
        const char *greeting = getenv("GREETING");
        printf("%s: %s, %s\n", argv[0], argv[2], greeting ? greeting : "no greeting");
        return 42;
    }
    pipes();
    executing("/proc/self/exe");
    spawning("/proc/self/exe");
    dying();
    return 0;
}
