/* The programs that the tests trace, one per first argument. "go" reads a byte of standard input first, so that a
   test can attach before anything happens. What a guest saw, it prints. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/futex.h>
#include <pthread.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/sem.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t seen[65];
static volatile long seen_value;
static void count(int n, siginfo_t *info, void *u) { seen[n]++; seen_value = info->si_value.sival_int; (void)u; }
static void handle(int n) {
	struct sigaction a = {.sa_sigaction = count, .sa_flags = SA_SIGINFO};
	sigaction(n, &a, 0);
}
static void say(const char *what, long value) {
	char b[99];
	int n = snprintf(b, sizeof b, "%s %ld\n", what, value);
	if (write(1, b, n) != n) _exit(99);
}
static void result(const char *what, long r) { say(what, r < 0 ? -errno : r); }

/* Each of these would last 50 ms if nothing disturbed it. */
static long brief(const char *name) {
	struct timespec t = {0, 50000000};
	struct timeval tv = {0, 50000};
	if (!strcmp(name, "nanosleep")) return nanosleep(&t, 0);
	if (!strcmp(name, "poll")) return poll(0, 0, 50);
	if (!strcmp(name, "ppoll")) return ppoll(0, 0, &t, 0);
	if (!strcmp(name, "epoll_wait")) { struct epoll_event e; return syscall(SYS_epoll_wait, epoll_create1(0), &e, 1, 50); }
	if (!strcmp(name, "epoll_pwait")) { struct epoll_event e; return epoll_pwait(epoll_create1(0), &e, 1, 50, 0); }
	if (!strcmp(name, "epoll_pwait2")) { struct epoll_event e; return syscall(441, epoll_create1(0), &e, 1, &t, 0, 8); }
	if (!strcmp(name, "sigtimedwait")) { sigset_t s; sigemptyset(&s); sigaddset(&s, SIGUSR2); return sigtimedwait(&s, 0, &t); }
	if (!strcmp(name, "semtimedop")) {
		int id = semget(IPC_PRIVATE, 1, 0600);
		struct sembuf op = {0, -1, 0};
		long r = semtimedop(id, &op, 1, &t);
		int e = errno;
		semctl(id, 0, IPC_RMID);
		errno = e;
		return r;
	}
	if (!strcmp(name, "recv")) {
		int p[2];
		char c;
		socketpair(AF_UNIX, SOCK_STREAM, 0, p);
		setsockopt(p[0], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv);
		return recv(p[0], &c, 1, 0);
	}
	if (!strcmp(name, "io_getevents")) {
		aio_context_t c = 0;
		struct io_event e;
		if (syscall(SYS_io_setup, 1, &c)) return -1;
		return syscall(SYS_io_getevents, c, 1, 1, &e, &t);
	}
	if (!strcmp(name, "futex")) { static int f; return syscall(SYS_futex, &f, FUTEX_WAIT, 0, &t, 0, 0); }
	_exit(98);
}

static void *spin(void *fd) { char c; while (read((int)(intptr_t)fd, &c, 1) == 1) {} return 0; }
static void *calls(void *n) { for (intptr_t i = 0; i < (intptr_t)n; i++) syscall(SYS_getppid); return 0; }
static char **exec_args;
static void *exec_here(void *x) { execv(exec_args[0], exec_args); (void)x; return 0; }

static int run(char **v) {
	const char *c = v[0];
	if (!strcmp(c, "go")) { char b; if (read(0, &b, 1) != 1) return 97; return run(v + 1); }
	if (!strcmp(c, "exit")) return atoi(v[1]);
	if (!strcmp(c, "read")) { char b; while (read(0, &b, 1) == 1) {} say("eof", 0); return 3; }
	if (!strcmp(c, "spin")) { static volatile int stop; handle(SIGUSR1); say("spins", 1); while (!seen[SIGUSR1] && !stop) {} say("usr1", 1); return 4; }
	if (!strcmp(c, "getppid")) { say("getppid", syscall(SYS_getppid) == getppid()); return 0; }
	if (!strcmp(c, "value")) { say("value", syscall(SYS_getppid)); return 0; }
	if (!strcmp(c, "int80")) {
		long r;
		__asm__ volatile("int $0x80" : "=a"(r) : "a"(20) : "memory", "r8", "r9", "r10", "r11");
		say("int80", r == getpid());
		return 0;
	}
	if (!strcmp(c, "brief")) { result(v[1], brief(v[1])); return 0; }
	if (!strcmp(c, "handled")) { handle(SIGWINCH); result(v[1], brief(v[1])); return 0; }
	if (!strcmp(c, "raise")) {
		int n = atoi(v[1]);
		handle(n);
		syscall(SYS_tgkill, getpid(), gettid(), n);
		say("seen", seen[n]);
		return 0;
	}
	if (!strcmp(c, "queue")) {
		union sigval s = {.sival_int = 77};
		handle(SIGRTMIN + 3);
		sigqueue(getpid(), SIGRTMIN + 3, s);
		say("value", seen_value);
		return 0;
	}
	if (!strcmp(c, "int3")) { handle(SIGTRAP); __asm__ volatile(".globl int3\nint3: int3"); say("trap", seen[SIGTRAP]); return 0; }
	if (!strcmp(c, "int3long")) { handle(SIGTRAP); __asm__ volatile(".byte 0xcd, 3"); say("trap", seen[SIGTRAP]); return 0; }
	if (!strcmp(c, "ownflag")) {
		handle(SIGTRAP);
		__asm__ volatile("pushfq; orq $256, (%%rsp); popfq; nop; nop; pushfq; andq $~256, (%%rsp); popfq" ::: "cc", "memory");
		say("trap", seen[SIGTRAP]);
		return 0;
	}
	if (!strcmp(c, "marks")) {
		/* A known run of instructions: a call, three moves, a signal, a call. */
		handle(SIGUSR1);
		syscall(SYS_getuid);
		__asm__ volatile("mov $39, %%eax; syscall; mov $1, %%eax; mov $2, %%eax; mov $3, %%eax" ::: "rax", "rcx", "r11");
		syscall(SYS_getgid);
		return 0;
	}
	if (!strcmp(c, "fork")) {
		pid_t p = fork();
		if (!p) _exit(5);
		int s;
		waitpid(p, &s, 0);
		say("child", s >> 8);
		return 0;
	}
	if (!strcmp(c, "untraced")) {
		/* A child that asks to have no tracer, by either call; its own calls must work all the same. */
		long args[11] = {0x00800000, 0, 0, 0, SIGCHLD};
		long p = strcmp(v[1], "clone3") ? syscall(SYS_clone, 0x00800000 | SIGCHLD, 0, 0, 0, 0) : syscall(435, args, 88);
		if (!p) _exit(syscall(SYS_getppid) == -1 ? 9 : 5);
		int s;
		if (waitpid(p, &s, 0) != p) return 98;
		say("child", s >> 8);
		return 0;
	}
	if (!strcmp(c, "vfork")) {
		pid_t p = vfork();
		if (!p) { execv("/proc/self/exe", (char *[]){"guest", "exit", "6", 0}); _exit(99); }
		int s;
		waitpid(p, &s, 0);
		say("child", s >> 8);
		return 0;
	}
	if (!strcmp(c, "threads")) {
		pthread_t t[4];
		int p[2];
		if (pipe(p)) return 99;
		for (int i = 0; i < 4; i++) pthread_create(t + i, 0, spin, (void *)(intptr_t)p[0]);
		close(p[1]);
		for (int i = 0; i < 4; i++) pthread_join(t[i], 0);
		say("joined", 4);
		return 0;
	}
	if (!strcmp(c, "callers")) {
		pthread_t s, t[3];
		int p[2];
		if (pipe(p)) return 99;
		pthread_create(&s, 0, spin, (void *)(intptr_t)p[0]);
		for (int i = 0; i < 3; i++) pthread_create(t + i, 0, calls, (void *)(intptr_t)500);
		for (int i = 0; i < 3; i++) pthread_join(t[i], 0);
		close(p[1]);
		pthread_join(s, 0);
		return 0;
	}
	if (!strcmp(c, "threadexec")) {
		pthread_t t[3];
		int p[2];
		if (pipe(p)) return 99;
		for (int i = 0; i < 2; i++) pthread_create(t + i, 0, spin, (void *)(intptr_t)p[0]);
		exec_args = v + 1;
		pthread_create(t + 2, 0, exec_here, 0);
		pthread_join(t[2], 0);
		return 96;
	}
	if (!strcmp(c, "leaderexit")) {
		pthread_t t;
		pthread_create(&t, 0, spin, 0);
		pthread_exit(0);
	}
	if (!strcmp(c, "exec")) { execv(v[1], v + 1); return 95; }
	if (!strcmp(c, "job")) {
		/* What a shell sees of a job that stops itself twice. */
		int t[2];
		char b;
		if (pipe(t)) return 99;
		pid_t p = fork();
		/* In a group of its own: SIGTSTP is discarded in an orphaned one, which the tests' may be. A continue is seen
		   only while the child lives: it waits until it was. */
		if (!p) { setpgid(0, 0); raise(SIGSTOP); read(t[0], &b, 1); raise(SIGTSTP); read(t[0], &b, 1); _exit(7); }
		int s;
		while (waitpid(p, &s, WUNTRACED | WCONTINUED) == p) {
			say(WIFSTOPPED(s) ? "stopped" : WIFCONTINUED(s) ? "continued" : "ended", s);
			if (WIFSTOPPED(s)) kill(p, SIGCONT);
			if (WIFCONTINUED(s) && write(t[1], "c", 1) != 1) return 99;
			if (WIFEXITED(s)) break;
		}
		return 0;
	}
	if (!strcmp(c, "stop")) { raise(SIGSTOP); say("continued", 1); return 8; }
	if (!strcmp(c, "start")) {
		/* All that a program can see of how it was started. */
		sigset_t m;
		sigprocmask(SIG_SETMASK, 0, &m);
		for (int n = 1; n < 65; n++) {
			struct sigaction a;
			memset(&a, 0, sizeof a);
			syscall(SYS_rt_sigaction, n, 0, &a, 8);
			if (a.sa_handler != SIG_DFL) say("disposition", n);
			if (sigismember(&m, n) == 1) say("blocked", n);
		}
		for (int f = 3; f < 256; f++) if (fcntl(f, F_GETFD) >= 0) say("descriptor", f);
		say("group", getpgrp() == getpgid(getppid()));
		say("session", getsid(0) == getsid(getppid()));
		stack_t st;
		sigaltstack(0, &st);
		say("altstack", st.ss_flags);
		int n = 0;
		for (; v[1 + n]; n++) say(v[1 + n], n);
		return 0;
	}
	if (!strcmp(c, "with")) {
		/* An unusual start for the program that follows. */
		sigset_t m;
		sigemptyset(&m);
		sigaddset(&m, SIGUSR1);
		sigprocmask(SIG_SETMASK, &m, 0);
		signal(SIGUSR2, SIG_IGN);
		signal(SIGPIPE, strcmp(v[1], "pipe") ? SIG_DFL : SIG_IGN);
		signal(SIGCHLD, SIG_DFL);
		execv(v[2], v + 2);
		return 93;
	}
	if (!strcmp(c, "busy")) {
		long sum = 0;
		for (int i = 0; i < 20000; i++) sum += syscall(SYS_getppid) == getppid();
		say("busy", sum);
		return 0;
	}
	if (!strcmp(c, "big")) {
		/* More than a pipe holds. */
		static char b[200000];
		return write(1, b, sizeof b) != sizeof b;
	}
	if (!strcmp(c, "storm")) {
		long sum = 0;
		handle(SIGUSR1);
		for (int i = 0; i < 5000; i++) {
			long before = seen[SIGUSR1];
			syscall(SYS_tgkill, getpid(), gettid(), SIGUSR1);
			sum += seen[SIGUSR1] - before;
		}
		say("storm", sum);
		return 0;
	}
	if (!strcmp(c, "area")) {
		/* Two pages, the second without access; read-only text; then wait. */
		char *a = mmap(0, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		mprotect(a + 4096, 4096, PROT_NONE);
		munmap(a + 4096, 4096);
		a[4095] = 'x';
		say("area", (long)a);
		say("text", (long)&run);
		char b;
		if (read(0, &b, 1) == 1) say("byte", a[0]);
		return 0;
	}
	return 94;
}

int main(int n, char **v) { (void)n; return run(v + 1); }
