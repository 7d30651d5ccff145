// Names that come and go in the system tree, made by their host names and looked for by the guest's: seen at once.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static int failed;

static void expect(const char *path, int error, int line)
{
    struct stat status;
    int got = stat(path, &status) ? errno : 0;
    if (got != error) {
        printf("line %d: %s: %s\n", line, path, strerror(got));
        failed = 1;
    }
}
#define EXPECT(path, error) expect(path, error, __LINE__)

static void in_child(int (*change)(const char *), const char *path)
{
    int child = fork();
    if (child == 0)
        _exit(change(path));
    waitpid(child, NULL, 0);
}

static int make(const char *path)
{
    return mkdir(path, 0700);
}

int main(int argc, char **argv)
{
    char name[4096], other[4096];
    snprintf(name, sizeof name, "%s/isamorph-name", argv[argc - 1]);
    snprintf(other, sizeof other, "%s/isamorph-other", argv[argc - 1]);
    for (int i = 0; i < 100; i++) {
        EXPECT("/isamorph-name", ENOENT);
        make(name);
        EXPECT("/isamorph-name", 0);
        rmdir(name);
        EXPECT("/isamorph-name", ENOENT);
        close(open(name, O_CREAT | O_WRONLY, 0600));
        EXPECT("/isamorph-name", 0);
        EXPECT("/isamorph-name/", ENOTDIR);
        rename(name, other);
        EXPECT("/isamorph-name", ENOENT);
        EXPECT("/isamorph-other", 0);
        if (link(other, name))
            perror("link");
        EXPECT("/isamorph-name", 0);
        unlink(name);
        EXPECT("/isamorph-name", ENOENT);
        unlink(other);
        if (symlink("/", name))
            perror("symlink");
        EXPECT("/isamorph-name", 0);
        unlink(name);
        EXPECT("/isamorph-name", ENOENT);
        close(creat(name, 0600));
        EXPECT("/isamorph-name", 0);
        unlink(name);
        mknod(name, S_IFREG | 0600, 0);
        EXPECT("/isamorph-name", 0);
        unlink(name);
        EXPECT("/isamorph-name", ENOENT);
        in_child(make, name);
        EXPECT("/isamorph-name", 0);
        in_child(rmdir, name);
    }
    puts(failed ? "late" : "at once");
    return failed;
}
