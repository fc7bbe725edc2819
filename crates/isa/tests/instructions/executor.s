# Executes one instruction per record read from standard input and writes the record back with the state after it.
# Record: 0 words of the instruction, 8 FPSCR, 16 CR, 24 XER, 32 VSCR, 48 r3 to r10, 112 VSRs, 1136 memory, 1264 end.

        .machine power10
        .abiversion 2
        .set    SIZE, 1264
        .section .code, "awx", @progbits
        .globl  _start
_start: lis     31, record@h
        ori     31, 31, record@l
next:   li      0, 3
        li      3, 0
        mr      4, 31
        li      5, SIZE
        sc
        cmpwi   3, SIZE
        bne     done
        lis     5, code@h
        ori     5, 5, code@l
        lwz     3, 0(31)
        lwz     4, 4(31)
        stw     3, 0(5)
        stw     4, 4(5)
        dcbst   0, 5
        sync
        icbi    0, 5
        isync
        lfd     0, 8(31)
        mtfsf   255, 0, 1, 0
        lxv     32, 32(31)
        mtvscr  0
        ld      3, 16(31)
        mtcrf   255, 3
        ld      3, 24(31)
        mtxer   3
        .set    n, 0
        .rept   64
        lxv     n, 112+16*n(31)
        .set    n, n+1
        .endr
        .set    n, 3
        .rept   8
        ld      n, 48+8*(n-3)(31)
        .set    n, n+1
        .endr
        b       code
        .balign 64
code:   nop
        nop
        .set    n, 3
        .rept   8
        std     n, 48+8*(n-3)(31)
        .set    n, n+1
        .endr
        .set    n, 0
        .rept   64
        stxv    n, 112+16*n(31)
        .set    n, n+1
        .endr
        mfcr    3
        std     3, 16(31)
        mfxer   3
        std     3, 24(31)
        mffs    0
        stfd    0, 8(31)
        mfvscr  0
        stxv    32, 32(31)
        li      0, 4
        li      3, 1
        mr      4, 31
        li      5, SIZE
        sc
        b       next
done:   li      0, 1
        li      3, 0
        sc

        .section .data
        .balign 64
record: .space  SIZE
