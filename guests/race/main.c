/*
 * The embedded default guest: a decrementer handler and a main loop that share a counter, and a planted race.
 *
 * `counter` is read, modified and written by the main loop with interrupts on, and incremented by the handler. An
 * interrupt between the loop's load and its store is lost. Most of the time goes into private work, so the race hits
 * only now and then. The loop checks from time to time, reports, and ends after the third loss.
 */
typedef unsigned int u32;
typedef unsigned long u64;

long hcall(u64 number, u64 a, u64 b, u64 c, u64 d);
long call_out(u64 entry, void *args);

#define H_PUT_TERM_CHAR 0x58
#define ROUNDS 4000
#define LOSSES 3

volatile u64 counter;
volatile u64 ticks;
static u64 added;
static u64 firmware;
static u32 power_off_token;
static u64 rtas;

static void print(const char *text)
{
	while (*text) {
		u64 words[2] = { 0, 0 };
		char *bytes = (char *)words;
		u64 n = 0;
		while (n < 16 && *text)
			bytes[n++] = *text++;
		hcall(H_PUT_TERM_CHAR, 0, n, words[0], words[1]);
	}
}

static void print_number(u64 value)
{
	char digits[21];
	int n = 20;
	digits[n] = 0;
	do
		digits[--n] = '0' + value % 10;
	while (value /= 10);
	print(digits + n);
}

struct call {
	u32 service, args, returns;
	u32 cell[8];
};

static u32 client(const char *service, u32 args, u32 returns, u32 a, u32 b, u32 c, u32 d)
{
	struct call call = { (u32)(u64)service, args, returns, { a, b, c, d } };
	call_out(firmware, &call);
	return call.cell[args + returns - 1];
}

static u32 address(const void *p)
{
	return (u32)(u64)p;
}

static void find_rtas(void)
{
	u32 node = client("finddevice", 1, 1, address("/rtas"), 0, 0, 0);
	u32 handle = client("open", 1, 1, address("/rtas"), 0, 0, 0);
	u32 base = client("claim", 3, 1, 0, 0x10000, 0x10000, 0);
	client("getprop", 4, 1, node, address("power-off"), address(&power_off_token), 4);
	rtas = client("call-method", 3, 2, address("instantiate-rtas"), handle, base, 0);
}

static void power_off(void)
{
	struct call call = { power_off_token, 2, 1, { 0, 0 } };
	call_out(rtas, &call);
	for (;;)
		;
}

static void set_decrementer(u64 value)
{
	__asm__ volatile("mtdec %0" : : "r"(value));
}

static void enable_interrupts(int on)
{
	u64 msr;
	__asm__ volatile("mfmsr %0" : "=r"(msr));
	msr = on ? msr | 0x8000 : msr & ~0x8000ul;
	__asm__ volatile("mtmsrd %0, 1" : : "r"(msr) : "memory");
}

void on_decrementer(void)
{
	ticks++;
	counter++;
	set_decrementer(997 + (ticks * 37 & 511));
}

/* What the loop is for: a checksum that nobody else touches. */
static __attribute__((noinline)) u64 work(u64 sum)
{
	for (int n = 0; n < 400; n++)
		sum = (sum << 7 | sum >> 57) ^ (sum + n) * 0x9e3779b97f4a7c15ul;
	return sum;
}

/* The race: the handler may run between the load and the store. */
static __attribute__((noinline)) void add_one(void)
{
	u64 value = counter;
	counter = value + 1;
	added++;
}

static u64 check(u64 lost_before)
{
	enable_interrupts(0);
	u64 expected = added + ticks;
	u64 lost = expected - counter;
	if (lost != lost_before) {
		print("lost update: counter is ");
		print_number(counter);
		print(", should be ");
		print_number(expected);
		print(" after ");
		print_number(ticks);
		print(" ticks\r\n");
	}
	enable_interrupts(1);
	return lost;
}

void main(u64 client_interface)
{
	u64 lost = 0;
	firmware = client_interface;
	print("timebase: the default guest (decrementer, console, a planted race)\r\n");
	find_rtas();
	set_decrementer(1000);
	enable_interrupts(1);
	u64 sum = 1;
	int losses = 0;
	for (int round = 1; round <= ROUNDS && losses < LOSSES; round++) {
		for (int k = 0; k < 100; k++) {
			sum = work(sum);
			add_one();
		}
		u64 before = lost;
		lost = check(lost);
		losses += lost != before;
		if (round % 100 == 0) {
			print("tick ");
			print_number(ticks);
			print(": counter ");
			print_number(counter);
			print("\r\n");
		}
	}
	enable_interrupts(0);
	print("done: checksum ");
	print_number(sum % 1000000007);
	print(", ");
	print_number(lost);
	print(lost == 1 ? " update lost\r\n" : " updates lost\r\n");
	power_off();
}
