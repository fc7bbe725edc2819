/* Entry from open firmware (big-endian, r5: client interface), the decrementer vector, and the calls out. */
        .machine power9
        .section .text.start, "ax"
        .globl  _start
_start:
        lis     %r2, .TOC.@ha
        addi    %r2, %r2, .TOC.@l
        lis     %r1, stack_top@ha
        addi    %r1, %r1, stack_top@l
        li      %r0, 0
        stdu    %r0, -64(%r1)
        mr      %r3, %r5
        /* The vector goes to 0x900. */
        lis     %r4, vector@ha
        addi    %r4, %r4, vector@l
        li      %r5, (vector_end - vector) / 4
        mtctr   %r5
        li      %r6, 0x900 - 4
        addi    %r4, %r4, -4
1:      lwzu    %r7, 4(%r4)
        stwu    %r7, 4(%r6)
        bdnz    1b
        sync
        icbi    0, %r6
        isync
        bl      main
        b       .

vector: mtsprg  0, %r12
        mfctr   %r12
        mtsprg  1, %r12
        lis     %r12, decrementer@ha
        addi    %r12, %r12, decrementer@l
        mtctr   %r12
        bctr
vector_end:

decrementer:
        mtsprg  2, %r1
        lis     %r1, interrupt_stack_top@ha
        addi    %r1, %r1, interrupt_stack_top@l
        stdu    %r0, -256(%r1)
        std     %r0, 40(%r1)
        std     %r2, 48(%r1)
        std     %r3, 56(%r1)
        std     %r4, 64(%r1)
        std     %r5, 72(%r1)
        std     %r6, 80(%r1)
        std     %r7, 88(%r1)
        std     %r8, 96(%r1)
        std     %r9, 104(%r1)
        std     %r10, 112(%r1)
        std     %r11, 120(%r1)
        std     %r13, 128(%r1)
        mflr    %r0
        std     %r0, 136(%r1)
        mfcr    %r0
        std     %r0, 144(%r1)
        mfxer   %r0
        std     %r0, 152(%r1)
        lis     %r2, .TOC.@ha
        addi    %r2, %r2, .TOC.@l
        bl      on_decrementer
        nop
        ld      %r0, 152(%r1)
        mtxer   %r0
        ld      %r0, 144(%r1)
        mtcr    %r0
        ld      %r0, 136(%r1)
        mtlr    %r0
        ld      %r0, 40(%r1)
        ld      %r2, 48(%r1)
        ld      %r3, 56(%r1)
        ld      %r4, 64(%r1)
        ld      %r5, 72(%r1)
        ld      %r6, 80(%r1)
        ld      %r7, 88(%r1)
        ld      %r8, 96(%r1)
        ld      %r9, 104(%r1)
        ld      %r10, 112(%r1)
        ld      %r11, 120(%r1)
        ld      %r13, 128(%r1)
        mfsprg  %r12, 1
        mtctr   %r12
        mfsprg  %r1, 2
        mfsprg  %r12, 0
        rfid

/* long hcall(number, a, b, c, d) */
        .text
        .globl  hcall
hcall:  sc      1
        blr

/* long call_out(entry, args): calls firmware, which may change every register that a call may. */
        .globl  call_out
call_out:
        mflr    %r0
        std     %r0, 16(%r1)
        stdu    %r1, -64(%r1)
        std     %r2, 24(%r1)
        mtctr   %r3
        mr      %r3, %r4
        bctrl
        ld      %r2, 24(%r1)
        addi    %r1, %r1, 64
        ld      %r0, 16(%r1)
        mtlr    %r0
        blr

        .bss
        .balign 16
        .space  16384
stack_top:
        .space  8192
interrupt_stack_top:
