// What `cargo xtask bench` has guests do: a static program that is /init of an initial RAM disk. The kernel passes it
// what stands after `--` on its command line: a workload and numbers. It powers the machine off in the end.
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

static uint64_t state = 88172645463325252ull;

static uint64_t next(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

// Shifts, a table, branches, divisions, small copies and comparisons.
static uint64_t integer(long rounds)
{
    static uint32_t table[4096];
    struct record { int a, b; char name[32]; } first = {1, 2, "A NAME OF SOME LENGTH"}, second;
    uint64_t x = state, sum = 0;
    for (long i = 0; i < rounds; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        uint32_t k = x & 4095;
        table[k] += i;
        if (x & 1)
            sum += table[(k + 7) & 4095];
        else
            sum ^= table[k] * 2654435761u;
        if ((i & 15) == 0)
            sum += x / (k + 3);
        if ((i & 7) == 0) {
            second = first;
            second.a += k;
            first.b ^= second.a;
            first.name[k & 15] = k;
            sum += strcmp(first.name, second.name);
        }
    }
    return sum;
}

// Copies of 8 MiB, a chase of pointers through 4 MiB, system calls, reads of a file.
static uint64_t memory(long rounds)
{
    size_t words = 1 << 20;
    char *a = malloc(words * 8), *b = malloc(words * 8);
    uint32_t *chain = malloc(words * 4), at = 0;
    uint64_t sum = 0;
    for (size_t i = 0; i < words; i++)
        chain[i] = i;
    for (size_t i = words - 1; i > 0; i--) {
        size_t j = next() % i;
        uint32_t t = chain[i];
        chain[i] = chain[j];
        chain[j] = t;
    }
    memset(a, 1, words * 8);
    for (long i = 0; i < rounds; i++) {
        memcpy(b, a, words * 8);
        memcpy(a, b + 4096, words * 8 - 4096);
        for (int j = 0; j < 500000; j++)
            at = chain[at];
        sum += at;
        for (int j = 0; j < 20000; j++)
            sum += syscall(SYS_getppid);
        int file = open("/init", O_RDONLY);
        for (int j = 0; j < 500; j++)
            sum += pread(file, a, 4096, j & 15);
        close(file);
    }
    return sum;
}

// A product of matrices: vector multiply-add on doubles.
static uint64_t vector(long rounds)
{
    enum { N = 128 };
    static double a[N][N], b[N][N], c[N][N];
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) {
            a[i][j] = i + 0.1 * j;
            b[i][j] = i - 0.3 * j;
        }
    for (long round = 0; round < rounds; round++) {
        for (int i = 0; i < N; i++)
            for (int k = 0; k < N; k++) {
                double v = a[i][k];
                for (int j = 0; j < N; j++)
                    c[i][j] += v * b[k][j];
            }
        a[round % N][3] = c[5][round % N] * 1e-9;
    }
    return c[7][9];
}

// What a shell does all day: fork, exec, map memory, touch it, wait.
static uint64_t processes(long rounds)
{
    uint64_t sum = 0;
    for (long i = 0; i < rounds; i++) {
        char *area = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        for (size_t at = 0; at < 1 << 20; at += 16384)
            area[at] = i;
        pid_t child = fork();
        if (child == 0) {
            execl("/init", "/init", "leaf", "0", (char *)NULL);
            _exit(1);
        }
        int status;
        waitpid(child, &status, 0);
        sum += status;
        munmap(area, 1 << 20);
    }
    return sum;
}

// Loads from random pages of so many MiB: how far translation reaches.
static uint64_t reach(long mebibytes, long rounds)
{
    size_t bytes = (size_t)mebibytes << 20;
    char *area = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    uint64_t sum = 0;
    for (size_t at = 0; at < bytes; at += 4096)
        area[at] = at >> 12 | 1; // Pages of zeros might all be one page of the host.
    for (long i = 0; i < rounds; i++)
        sum += area[next() % bytes];
    return sum;
}

#ifdef __powerpc64__
// Calls functions that together are so many KiB of code.
static uint64_t code(long kibibytes, long rounds)
{
    size_t words = kibibytes * 256;
    uint32_t *text = mmap(NULL, words * 4, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    // addi r3,r3,1 and now and then blr; functions of 64 instructions.
    for (size_t i = 0; i < words; i++)
        text[i] = i % 64 == 63 ? 0x4e800020 : 0x38630001;
    __builtin___clear_cache((char *)text, (char *)(text + words));
    uint64_t sum = 0;
    for (long i = 0; i < rounds; i++) {
        uint32_t *function = text + (size_t)i * 64 % words;
        register uint64_t value __asm__("r3") = sum;
        __asm__ volatile("mtctr %1\n\tbctrl" : "+r"(value) : "r"(function) : "ctr", "lr", "memory");
        sum = value;
    }
    return sum;
}

#endif

static volatile long ticks;

static void tick(int signal)
{
    (void)signal;
    ticks++;
}

// Arithmetic while a timer interrupts so often a second.
static uint64_t timer(long hertz, long rounds)
{
    struct itimerval every = {{0, 1000000 / hertz}, {0, 1000000 / hertz}};
    signal(SIGALRM, tick);
    setitimer(ITIMER_REAL, &every, NULL);
    return integer(rounds) + (ticks != 0);
}

// The integer work on so many processes at once.
static uint64_t together(long count, long rounds)
{
    for (long i = 0; i < count; i++)
        if (fork() == 0) {
            integer(rounds / count);
            _exit(0);
        }
    while (wait(NULL) > 0)
        ;
    return count;
}

int main(int argc, char **argv)
{
    const char *work = argc > 1 ? argv[1] : "none";
    long first = argc > 2 ? atol(argv[2]) : 0, second = argc > 3 ? atol(argv[3]) : 0;
    uint64_t sum = 0;
    if (!strcmp(work, "leaf"))
        return 0;
    setvbuf(stdout, NULL, _IONBF, 0);
    if (!strcmp(work, "integer"))
        sum = integer(first);
    else if (!strcmp(work, "memory"))
        sum = memory(first);
    else if (!strcmp(work, "vector"))
        sum = vector(first);
    else if (!strcmp(work, "processes"))
        sum = processes(first);
    else if (!strcmp(work, "reach"))
        sum = reach(first, second);
#ifdef __powerpc64__
    else if (!strcmp(work, "code"))
        sum = code(first, second);
#endif
    else if (!strcmp(work, "timer"))
        sum = timer(first, second);
    else if (!strcmp(work, "together"))
        sum = together(first, second);
    printf("workload %s %ld %ld done: %llu\n", work, first, second, (unsigned long long)sum);
    // The host runs it, too, to see what its hardware alone takes.
    if (getpid() != 1)
        return 0;
    reboot(RB_POWER_OFF);
    for (;;)
        pause();
}
