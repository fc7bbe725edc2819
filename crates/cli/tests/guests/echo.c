/*
 * A guest for tests: it answers every key with the key and the time, and sleeps in between.
 *
 * p powers off, r reboots, d reports that it died, z stops the CPU for ever. Entry, vectors and the calls out are
 * those of guests/race.
 */
typedef unsigned int u32;
typedef unsigned long u64;

long call_out(u64 entry, void *args);

#define H_GET_TERM_CHAR 0x54
#define H_PUT_TERM_CHAR 0x58
#define H_CEDE 0xe0
#define MILLISECOND 512000

struct call {
	u32 service, args, returns;
	u32 cell[8];
};

static u64 firmware, rtas;
static u32 node;

static void put(const char *text, u64 n)
{
	for (u64 k = 0; k < n; k++) {
		register u64 r3 __asm__("r3") = H_PUT_TERM_CHAR;
		register u64 r4 __asm__("r4") = 0;
		register u64 r5 __asm__("r5") = 1;
		register u64 r6 __asm__("r6") = (u64)(unsigned char)text[k] << 56;
		register u64 r7 __asm__("r7") = 0;
		__asm__ volatile("sc 1" : "+r"(r3), "+r"(r4), "+r"(r5), "+r"(r6), "+r"(r7)
				 : : "r0", "r8", "r9", "r10", "r11", "r12", "ctr", "xer", "cc", "memory");
	}
}

static void print(const char *text)
{
	u64 n = 0;
	while (text[n])
		n++;
	put(text, n);
}

static u64 get(u64 bytes[2])
{
	register u64 r3 __asm__("r3") = H_GET_TERM_CHAR;
	register u64 r4 __asm__("r4") = 0;
	register u64 r5 __asm__("r5");
	register u64 r6 __asm__("r6");
	__asm__ volatile("sc 1" : "+r"(r3), "+r"(r4), "=r"(r5), "=r"(r6)
			 : : "r0", "r7", "r8", "r9", "r10", "r11", "r12", "ctr", "xer", "cc", "memory");
	bytes[0] = r5;
	bytes[1] = r6;
	return r4;
}

static void cede(void)
{
	register u64 r3 __asm__("r3") = H_CEDE;
	__asm__ volatile("sc 1" : "+r"(r3)
			 : : "r0", "r4", "r5", "r6", "r7", "r8", "r9", "r10", "r11", "r12", "ctr", "xer", "cc",
			     "memory");
}

static u32 address(const void *p)
{
	return (u32)(u64)p;
}

static u32 client(const char *service, u32 args, u32 returns, u32 a, u32 b, u32 c, u32 d)
{
	struct call call = { address(service), args, returns, { a, b, c, d } };
	call_out(firmware, &call);
	return call.cell[args + returns - 1];
}

static void service(const char *name, u32 args, u32 a)
{
	u32 token = 0;
	client("getprop", 4, 1, node, address(name), address(&token), 4);
	struct call call = { token, args, 1, { a } };
	call_out(rtas, &call);
}

static void set_decrementer(u64 value)
{
	__asm__ volatile("mtdec %0" : : "r"(value));
}

void on_decrementer(void)
{
	set_decrementer(MILLISECOND);
}

static void answer(char key)
{
	u64 time;
	char line[22] = "? at ................";
	__asm__ volatile("mftb %0" : "=r"(time));
	line[0] = key;
	for (int n = 0; n < 16; n++)
		line[5 + n] = "0123456789abcdef"[time >> (60 - 4 * n) & 15];
	put(line, 21);
	print("\r\n");
}

void main(u64 client_interface)
{
	firmware = client_interface;
	print("echo guest\r\n");
	node = client("finddevice", 1, 1, address("/rtas"), 0, 0, 0);
	u32 handle = client("open", 1, 1, address("/rtas"), 0, 0, 0);
	u32 base = client("claim", 3, 1, 0, 0x10000, 0x10000, 0);
	rtas = client("call-method", 3, 2, address("instantiate-rtas"), handle, base, 0);
	print("ready> ");
	set_decrementer(MILLISECOND);
	for (;;) {
		u64 bytes[2];
		u64 n = get(bytes);
		if (n == 0)
			cede();
		for (u64 k = 0; k < n; k++) {
			char key = ((char *)bytes)[k];
			answer(key);
			if (key == 'p')
				service("power-off", 2, 0);
			else if (key == 'r')
				service("system-reboot", 0, 0);
			else if (key == 'd')
				service("ibm,os-term", 1, address("the echo guest died"));
			else if (key == 'z')
				service("stop-self", 0, 0);
		}
		if (n)
			print("ready> ");
	}
}
