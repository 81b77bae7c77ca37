/* Stands between one process and its C library, and makes trouble while it is told to: a clock that is wrong, calls on
 * files that fail, connections that lead elsewhere. Loaded with LD_PRELOAD; what it is told, and what it has done, stands
 * in a file that it shares with shim.py, which has the same fields in the same order.
 *
 * What it cannot reach: times that the kernel sets (those of files are right, as those of a storage would be), monotonic
 * time, which nobody sets, and system calls made around the C library, but for renameat2, which a filter catches. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <threads.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

enum { OPEN, READ, WRITE, SYNC, RENAME, MKDIR, UNLINK, KINDS };
enum { PORTS = 8, FOLDERS = 2, PATH_BYTES = 512 };

struct control {
    _Atomic int64_t clock_offset_ns;
    /* Each call of these kinds (a bit each) fails with this error with a chance of one in so many; 0: none does. */
    _Atomic int64_t fail_one_in, fail_kinds, error, seed;
    /* Of calls that might have failed, and of failures. */
    _Atomic int64_t tried, failed[KINDS];
    /* How often the wrong time was told. */
    _Atomic int64_t wrong_times;
    /* Connections to the first port of this machine go to the second. */
    int64_t ports[PORTS][2];
    _Atomic int64_t redirected;
    /* Only files below these. */
    char folders[FOLDERS][PATH_BYTES];
};

static struct control idle;
static struct control *control = &idle;

#define REAL(name) \
    ({ \
        static __typeof__(&name) found; \
        if (!found) found = (__typeof__(&name))dlsym(RTLD_NEXT, #name); \
        found; \
    })

/* ---------------------------------------------------------------------------------------------- the clock */

enum { SECOND_NS = 1000000000, PIECE_NS = 50000000 };

static void add(struct timespec *at, int64_t ns)
{
    ns += at->tv_nsec;
    at->tv_sec += ns / SECOND_NS;
    at->tv_nsec = ns % SECOND_NS;
    if (at->tv_nsec < 0) {
        at->tv_nsec += SECOND_NS;
        at->tv_sec -= 1;
    }
}

static int64_t offset(void)
{
    int64_t ns = control->clock_offset_ns;
    if (ns) control->wrong_times++;
    return ns;
}

int clock_gettime(clockid_t clock, struct timespec *at)
{
    int result = REAL(clock_gettime)(clock, at);
    if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) add(at, offset());
    return result;
}

int gettimeofday(struct timeval *at, void *zone)
{
    struct timespec now;
    (void)zone;
    int result = clock_gettime(CLOCK_REALTIME, &now);
    if (result == 0) *at = (struct timeval){now.tv_sec, now.tv_nsec / 1000};
    return result;
}

time_t time(time_t *at)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (at) *at = now.tv_sec;
    return now.tv_sec;
}

int timespec_get(struct timespec *at, int base)
{
    return base == TIME_UTC && clock_gettime(CLOCK_REALTIME, at) == 0 ? base : 0;
}

/* A wait until a time is over when the clock that the caller sees says so, however that is set meanwhile: so the kernel does
 * it. Here the wait ends after a piece of it, as waits may end for no reason at all: the caller looks whether what it waits
 * for is there, and waits on. (To wait on in here would miss who has told meanwhile that it is.) This is how librdkafka
 * waits; Rust waits by monotonic time. */
int cnd_timedwait(cnd_t *condition, mtx_t *lock, const struct timespec *until)
{
    struct timespec now;
    REAL(clock_gettime)(CLOCK_REALTIME, &now);
    int64_t left = (until->tv_sec - now.tv_sec) * SECOND_NS + until->tv_nsec - now.tv_nsec - control->clock_offset_ns;
    int is_last = left < PIECE_NS;
    add(&now, is_last ? left : PIECE_NS);
    int result = REAL(cnd_timedwait)(condition, lock, &now);
    return result == thrd_timedout && !is_last ? thrd_success : result;
}

/* ---------------------------------------------------------------------------------------------- files */

/* The same for the same seed and number (splitmix64). */
static uint64_t draw(uint64_t number)
{
    uint64_t bits = number * 0x9e3779b97f4a7c15u;
    bits = (bits ^ bits >> 30) * 0xbf58476d1ce4e5b9u;
    bits = (bits ^ bits >> 27) * 0x94d049bb133111ebu;
    return bits ^ bits >> 31;
}

/* The error that the call has to give; 0 when it goes its way. */
static int trouble(int kind, const char *path)
{
    int64_t one_in = control->fail_one_in;
    if (!one_in || !path || !(control->fail_kinds >> kind & 1)) return 0;
    for (int folder = 0; folder < FOLDERS; folder++) {
        size_t length = strlen(control->folders[folder]);
        if (!length || strncmp(path, control->folders[folder], length)) continue;
        uint64_t number = control->tried++;
        if (draw(control->seed + number) % one_in) return 0;
        control->failed[kind]++;
        return control->error;
    }
    return 0;
}

static int trouble_at(int kind, int file)
{
    char link[32], path[PATH_BYTES];
    if (!control->fail_one_in) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return trouble(kind, path);
}

#define UNLESS_TROUBLE(code, call) \
    ({ \
        int before = errno, error = (code); \
        errno = error ? error : before; \
        error ? -1 : (call); \
    })

#define MODE_OF(flags) \
    ({ \
        mode_t mode = 0; \
        if ((flags) & (O_CREAT | O_TMPFILE)) { \
            va_list more; \
            va_start(more, flags); \
            mode = va_arg(more, mode_t); \
            va_end(more); \
        } \
        mode; \
    })

int open(const char *path, int flags, ...)
{
    mode_t mode = MODE_OF(flags);
    return UNLESS_TROUBLE(trouble(OPEN, path), REAL(open)(path, flags, mode));
}

int open64(const char *path, int flags, ...)
{
    mode_t mode = MODE_OF(flags);
    return UNLESS_TROUBLE(trouble(OPEN, path), REAL(open64)(path, flags, mode));
}

ssize_t read(int file, void *bytes, size_t size)
{
    return UNLESS_TROUBLE(trouble_at(READ, file), REAL(read)(file, bytes, size));
}

ssize_t pread64(int file, void *bytes, size_t size, off64_t from)
{
    return UNLESS_TROUBLE(trouble_at(READ, file), REAL(pread64)(file, bytes, size, from));
}

ssize_t write(int file, const void *bytes, size_t size)
{
    return UNLESS_TROUBLE(trouble_at(WRITE, file), REAL(write)(file, bytes, size));
}

ssize_t writev(int file, const struct iovec *parts, int count)
{
    return UNLESS_TROUBLE(trouble_at(WRITE, file), REAL(writev)(file, parts, count));
}

ssize_t copy_file_range(int from, off64_t *from_at, int to, off64_t *to_at, size_t size, unsigned flags)
{
    return UNLESS_TROUBLE(trouble_at(WRITE, to), REAL(copy_file_range)(from, from_at, to, to_at, size, flags));
}

int fsync(int file)
{
    return UNLESS_TROUBLE(trouble_at(SYNC, file), REAL(fsync)(file));
}

int fdatasync(int file)
{
    return UNLESS_TROUBLE(trouble_at(SYNC, file), REAL(fdatasync)(file));
}

int rename(const char *from, const char *to)
{
    return UNLESS_TROUBLE(trouble(RENAME, from), REAL(rename)(from, to));
}

int mkdir(const char *path, mode_t mode)
{
    return UNLESS_TROUBLE(trouble(MKDIR, path), REAL(mkdir)(path, mode));
}

int unlink(const char *path)
{
    return UNLESS_TROUBLE(trouble(UNLINK, path), REAL(unlink)(path));
}

/* The daemon makes this one without its C library, so the kernel is asked to hand it over: as a signal, unless the sixth
 * register, which the call does not use, says that it comes from here. */
enum { FROM_HERE = 0x5eed5eed };

#if defined(__x86_64__)
#define ARCH AUDIT_ARCH_X86_64
#define REGISTER(name) context->uc_mcontext.gregs[REG_##name]
#define ARGUMENTS REGISTER(RDI), REGISTER(RSI), REGISTER(RDX), REGISTER(R10), REGISTER(R8)
#define FIRST_PATH REGISTER(RSI)
#define ANSWER REGISTER(RAX)
#elif defined(__aarch64__)
#define ARCH AUDIT_ARCH_AARCH64
#define REGISTER(number) context->uc_mcontext.regs[number]
#define ARGUMENTS REGISTER(0), REGISTER(1), REGISTER(2), REGISTER(3), REGISTER(4)
#define FIRST_PATH REGISTER(1)
#define ANSWER REGISTER(0)
#else
#error "which registers hold the arguments of a system call here?"
#endif

static void on_rename(int signal, siginfo_t *info, void *about)
{
    ucontext_t *context = about;
    int before = errno;
    (void)signal, (void)info;
    int error = trouble(RENAME, (const char *)FIRST_PATH);
    long result = error ? -1 : syscall(SYS_renameat2, ARGUMENTS, FROM_HERE);
    ANSWER = result < 0 ? -(error ? error : errno) : result;
    errno = before;
}

static int catch_renames(void)
{
    struct sock_filter steps[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCH, 0, 4),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_renameat2, 0, 2),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[5])),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, FROM_HERE, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
    };
    struct sock_fprog program = {sizeof steps / sizeof *steps, steps};
    struct sigaction action = {.sa_sigaction = on_rename, .sa_flags = SA_SIGINFO};
    return sigaction(SIGSYS, &action, NULL) == 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
        && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

/* ---------------------------------------------------------------------------------------------- connections */

int connect(int link, const struct sockaddr *to, socklen_t size)
{
    struct sockaddr_in other;
    if (to->sa_family == AF_INET && size >= sizeof other) {
        memcpy(&other, to, sizeof other);
        for (int number = 0; number < PORTS; number++) {
            int64_t from = control->ports[number][0];
            if (!from || ntohs(other.sin_port) != from || other.sin_addr.s_addr != htonl(INADDR_LOOPBACK)) continue;
            other.sin_port = htons(control->ports[number][1]);
            control->redirected++;
            return REAL(connect)(link, (struct sockaddr *)&other, sizeof other);
        }
    }
    return REAL(connect)(link, to, size);
}

/* ---------------------------------------------------------------------------------------------- the beginning */

__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv("CHAOS_SHIM");
    int file = path ? REAL(open)(path, O_RDWR | O_CLOEXEC) : -1;
    void *shared = file < 0 ? MAP_FAILED : mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (shared == MAP_FAILED || !catch_renames()) {
        perror("the shim of scripts/chaos cannot begin");
        _exit(70);
    }
    close(file);
    control = shared;
}
