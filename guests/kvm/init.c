/* The first process of a Linux that is a hypervisor: loads KVM, starts a guest of a few instructions under it, shows what
 * the guest says by hypercalls, and powers off. `cargo xtask kvm FOLDER` runs it on both bare-metal machines.
 *
 * The guest is in real mode, which its hypervisor translates (radix): each page that it writes first is a hypervisor
 * storage interrupt. It sums up what it wrote 20 times, while the hypervisor's decrementer interrupts it.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { MEMORY = 64 << 20, ENTRY = 0x10000, DATA = 0x200000 };
/* KVM_CREATE_VM: by hypervisor state, not by emulation. */
enum { HV = 1 };
/* Process table in the first doubleword of the partition table's entry: radix; at 1 MiB, of 64 KiB. */
#define PROCESS_TABLE (1ull << 63 | 0x100000 | 4)
/* MSR: 64 bits, machine checks, little-endian. */
#define STATE 0x8000000000001001ull
enum { H_PUT_TERM_CHAR = 0x58 };

extern char guest[], guest_end[];
asm(".section .rodata\n"
    "        .globl guest, guest_end\n"
    "        .balign 8\n"
    "guest:  li 25, 20\n"
    "3:      mr 3, 20\n"
    "        lis 4, 4\n"
    "        mtctr 4\n"
    "        li 5, 0\n"
    "1:      std 5, 0(3)\n"
    "        addi 5, 5, 1\n"
    "        addi 3, 3, 8\n"
    "        bdnz 1b\n"
    "        mr 3, 20\n"
    "        mtctr 4\n"
    "        li 7, 0\n"
    "2:      ld 6, 0(3)\n"
    "        add 7, 7, 6\n"
    "        addi 3, 3, 8\n"
    "        bdnz 2b\n"
    "        addic. 25, 25, -1\n"
    "        bne 3b\n"
    "        li 3, 0x58\n"
    "        li 4, 0\n"
    "        li 5, 8\n"
    "        mr 6, 7\n"
    "        sc 1\n"
    "        b .\n"
    "guest_end:\n"
    "        .previous\n");

static void end(void) {
    reboot(RB_POWER_OFF);
    for (;;)
        pause();
}

static int good(const char *what, int result) {
    if (result >= 0)
        return result;
    printf("kvm: %s: %s\n", what, strerror(errno));
    end();
    return result;
}

static void load(const char *module) {
    int file = good(module, open(module, O_RDONLY));
    good(module, syscall(SYS_finit_module, file, "", 0));
    close(file);
}

int main(void) {
    setvbuf(stdout, NULL, _IONBF, 0);
    good("/dev", mount("none", "/dev", "devtmpfs", 0, ""));
    load("/kvm.ko");
    load("/kvm-hv.ko");
    int kvm = good("/dev/kvm", open("/dev/kvm", O_RDWR));
    int machine = good("KVM_CREATE_VM", ioctl(kvm, KVM_CREATE_VM, HV));
    uint8_t *memory = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    struct kvm_userspace_memory_region region = {.memory_size = MEMORY, .userspace_addr = (uint64_t)memory};
    good("KVM_SET_USER_MEMORY_REGION", ioctl(machine, KVM_SET_USER_MEMORY_REGION, &region));
    struct kvm_ppc_mmuv3_cfg tables = {
        .flags = KVM_PPC_MMUV3_RADIX | KVM_PPC_MMUV3_GTSE, .process_table = PROCESS_TABLE};
    good("KVM_PPC_CONFIGURE_V3_MMU", ioctl(machine, KVM_PPC_CONFIGURE_V3_MMU, &tables));
    int cpu = good("KVM_CREATE_VCPU", ioctl(machine, KVM_CREATE_VCPU, 0));
    struct kvm_enable_cap papr = {.cap = KVM_CAP_PPC_PAPR};
    good("KVM_CAP_PPC_PAPR", ioctl(cpu, KVM_ENABLE_CAP, &papr));
    int bytes = good("KVM_GET_VCPU_MMAP_SIZE", ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0));
    struct kvm_run *run = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, cpu, 0);
    memcpy(memory + ENTRY, guest, guest_end - guest);
    struct kvm_regs regs = {.pc = ENTRY, .msr = STATE};
    regs.gpr[20] = DATA;
    good("KVM_SET_REGS", ioctl(cpu, KVM_SET_REGS, &regs));
    do
        good("KVM_RUN", ioctl(cpu, KVM_RUN, 0));
    while (run->exit_reason == KVM_EXIT_INTR);
    if (run->exit_reason == KVM_EXIT_PAPR_HCALL && run->papr_hcall.nr == H_PUT_TERM_CHAR)
        printf("kvm: the guest says %llx\n", (unsigned long long)run->papr_hcall.args[2]);
    else
        printf("kvm: exit %u\n", run->exit_reason);
    end();
}
