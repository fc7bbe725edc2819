# Bare metal for `cargo xtask diff`: runs blocks of instructions, each from a state of its own, and writes down the state
# that it ends in: with the interrupt that ends it, for every block ends in one (the last instruction is `sc`).
#
# Blocks are a file at BLOCKS, made by crates/differential (src/layout.rs, which has the same numbers): a header, the
# tables of translation, code, and records: states that code begins in. Results go to RESULTS, one for each record.
# An interrupt arrives big-endian in real mode, in supervisor or in hypervisor state; what is below 0x8000 is addressed
# without a register, so none is lost.
        .machine power9

        .set    BLOCKS,         0x20000000
        .set    WINDOW,         0x2008ff80      # 256 bytes around the boundary of two pages
        .set    TABLE,          0x20010000      # Partition table
        .set    RECORD,         0x900
        .set    RESULT,         0x900
        .set    HEADER_COUNT,   0               # Records
        .set    HEADER_IN,      8               # The first one to be run, and its result
        .set    HEADER_OUT,     16
        .set    HEADER_DONE,    24              # Records that are done, or were before: written here

# A record, and a result up to MEMORY.
        .set    R_MSR,          0x000
        .set    R_NIA,          0x008
        .set    R_CR,           0x010
        .set    R_XER,          0x018
        .set    R_LR,           0x020
        .set    R_CTR,          0x028
        .set    R_FPSCR,        0x030
        .set    R_CFAR,         0x038
        .set    R_VSCR,         0x040
        .set    R_LPCR,         0x050           # Of a result: the vector
        .set    R_VECTOR,       0x050
        .set    R_LPIDR,        0x058
        .set    R_PIDR,         0x060
        .set    R_TIMES,        0x068           # How often it is run
        .set    R_KIND,         0x070           # What it has beside the registers of all: the bits KIND_...
        .set    R_SPR,          0x080
        .set    R_GPR,          0x180
        .set    R_VSR,          0x300
        .set    R_MEMORY,       0x700
        .set    R_SEGMENTS,     0x800           # Entries of the SLB, each as slbmfee and slbmfev give it
        .set    R_COUNTERS,     0x880           # Registers of the performance monitor

        .set    SEGMENTS,       8
        .set    KIND_SEGMENTS,  1
        .set    KIND_COUNTERS,  2
        .set    KIND_DOORBELLS, 4
        .set    KIND_MSGSND,    8               # A doorbell is pending: sent by msgsnd, by msgsndp
        .set    KIND_MSGSNDP,   16
        .set    DIRECTED,       5 << 27         # A message for this thread

# Below 0x8000, without a base register.
        .set    SAVED_R1,       0x6000
        .set    SAVED_CFAR,     0x6008
        .set    SAVED_VECTOR,   0x6010
        .set    SAVED_CR,       0x6018
        .set    IN,             0x6020          # The record
        .set    OUT,            0x6028          # The result
        .set    LEFT,           0x6030          # Records to come, this one included
        .set    TIMES,          0x6038          # Times that this one is to be run
        .set    SAVING,         0x6040          # `sc 1` is ours
        .set    NOTHING,        0x6048

        .macro  vector at
        .org    \at
        std     1, SAVED_R1(0)
        mfspr   1, 28                           # CFAR
        std     1, SAVED_CFAR(0)
        li      1, \at
        b       save
        .endm

        .text
        .org    0x10
        b       start
        .irp    at, 0x100, 0x200, 0x300, 0x380, 0x400, 0x480, 0x500, 0x600, 0x700, 0x800, 0x900, 0x980, 0xa00, 0xb00
        vector  \at
        .endr
        .org    0xc00
        std     1, SAVED_R1(0)
        mfspr   1, 28
        std     1, SAVED_CFAR(0)
        mfcr    1
        std     1, SAVED_CR(0)
        ld      1, SAVING(0)
        cmpdi   1, 0
        bne     continued
        ld      1, SAVED_CR(0)
        mtcr    1
        li      1, 0xc00
        b       save
        .irp    at, 0xd00, 0xe00, 0xe20, 0xe40, 0xe60, 0xe80, 0xea0, 0xf00, 0xf20, 0xf40, 0xf60, 0xf80, 0xfa0, 0xfc0
        vector  \at
        .endr
        .irp    at, 0x1000, 0x1100, 0x1200, 0x1300, 0x1400, 0x1500, 0x1600, 0x1700, 0x1800, 0x1900
        vector  \at
        .endr

        .org    0x2000
save:   std     1, SAVED_VECTOR(0)
        ld      1, OUT(0)
        std     0, R_GPR(1)
        .set    n, 2
        .rept   30
        std     n, R_GPR+8*n(1)
        .set    n, n+1
        .endr
        ld      0, SAVED_R1(0)
        std     0, R_GPR+8(1)
        ld      0, SAVED_CFAR(0)
        std     0, R_CFAR(1)
        ld      0, SAVED_VECTOR(0)
        std     0, R_VECTOR(1)
        mfcr    0
        std     0, R_CR(1)
        mfspr   0, 26                           # SRR0, SRR1: sc changes them
        std     0, R_SPR(1)
        mfspr   0, 27
        std     0, R_SPR+8(1)
        mfmsr   0
        std     0, R_MSR(1)
        rldicl. 0, 0, 4, 63                     # MSR[HV]
        bne     hypervisor
        li      0, 1
        std     0, SAVING(0)
        sc      1
continued:
        li      0, 0
        std     0, SAVING(0)
        ld      1, OUT(0)
hypervisor:
        .set    at, R_SPR+16
        .irp    n, 19,18,17,272,273,274,275,256,815,153,29,61,157,314,315,190,304,305,307,306,339,816,896
        mfspr   0, \n
        std     0, at(1)
        .set    at, at+8
        .endr
        li      0, -1
        mtspr   190, 0                          # HFSCR
        ld      3, IN(0)
        ld      3, R_KIND(3)
        andi.   0, 3, KIND_SEGMENTS
        beq     1f
        .set    n, 0
        .rept   SEGMENTS
        li      4, n
        slbmfee 5, 4
        slbmfev 6, 4
        rlwinm. 0, 5, 0, 4, 4                   # V: of entries that are not valid nothing is compared
        bne     2f
        li      5, 0
        li      6, 0
2:      std     5, R_SEGMENTS+16*n(1)
        std     6, R_SEGMENTS+16*n+8(1)
        .set    n, n+1
        .endr
1:      andi.   0, 3, KIND_COUNTERS
        beq     1f
        .set    at, R_COUNTERS
        .irp    n, 787,788,789,790,791,792,798,785,786,784,796,797,754,752,753,795
        li      0, 0                            # What does not exist stays as it is
        mfspr   0, \n
        std     0, at(1)
        .set    at, at+8
        .endr
        lis     0, 0x8000                       # Frozen, without an alert
        clrldi  0, 0, 32
        mtspr   795, 0
1:      andi.   0, 3, KIND_DOORBELLS
        beq     1f
        lis     5, DIRECTED@h
        msgclr  5
        msgclrp 5
1:
        mfxer   0
        std     0, R_XER(1)
        mflr    0
        std     0, R_LR(1)
        mfctr   0
        std     0, R_CTR(1)
        mfmsr   0
        oris    0, 0, 0x280                     # VEC, VSX
        ori     0, 0, 0x2000                    # FP
        rldicl  0, 0, 48, 1                     # Without EE, which scv leaves as it is
        rotldi  0, 0, 16
        mtmsrd  0
        isync
        .set    n, 0
        .rept   64
        stxv    n, R_VSR+16*n(1)
        .set    n, n+1
        .endr
        mffs    0
        stfd    0, R_FPSCR(1)
        mfvscr  0
        stxv    32, R_VSCR(1)
        lis     2, WINDOW@h
        ori     2, 2, WINDOW@l
        .set    n, 0
        .rept   16
        lxv     0, 16*n(2)
        stxv    0, R_MEMORY+16*n(1)
        .set    n, n+1
        .endr

        ld      3, TIMES(0)                     # Once more, or the next one
        addi    3, 3, -1
        cmpdi   3, 0
        bne     again
        lis     2, BLOCKS@h
        ld      3, HEADER_DONE(2)
        addi    3, 3, 1
        std     3, HEADER_DONE(2)
        ld      3, LEFT(0)
        addi    3, 3, -1
        std     3, LEFT(0)
        cmpdi   3, 0
        beq     $                               # All done
        ld      3, OUT(0)
        addi    3, 3, RESULT
        std     3, OUT(0)
        ld      3, IN(0)
        addi    3, 3, RECORD
        std     3, IN(0)
next:   ld      1, IN(0)
        ld      3, R_TIMES(1)
again:  std     3, TIMES(0)

        ld      1, IN(0)
        lis     2, WINDOW@h
        ori     2, 2, WINDOW@l
        .set    n, 0
        .rept   16
        lxv     0, R_MEMORY+16*n(1)
        stxv    0, 16*n(2)
        .set    n, n+1
        .endr
        .macro  change offset, n                # Writing them costs the peer what it knows of translations
        ld      0, \offset(1)
        mfspr   3, \n
        cmpd    0, 3
        beq     1f
        mtspr   \n, 0
1:
        .endm
        ld      4, R_KIND(1)
        andi.   0, 4, KIND_SEGMENTS
        beq     1f
        li      3, 31                           # No segment but those of the record
        li      0, 0
2:      slbmte  0, 3
        addi    3, 3, -1
        cmpdi   3, 0
        bge     2b
        .set    n, 0
        .rept   SEGMENTS
        ld      3, R_SEGMENTS+16*n(1)
        ori     3, 3, n
        ld      0, R_SEGMENTS+16*n+8(1)
        slbmte  0, 3
        .set    n, n+1
        .endr
        ld      0, R_PIDR(1)                    # The peer forgets translations
        mtspr   48, 0
1:      andi.   0, 4, KIND_COUNTERS
        beq     1f
        .set    at, R_COUNTERS
        .irp    n, 787,788,789,790,791,792,798,785,786,784,796,797,754,752,753,795
        ld      0, at(1)
        mtspr   \n, 0
        .set    at, at+8
        .endr
1:      andi.   0, 4, KIND_DOORBELLS
        beq     1f
        lis     5, DIRECTED@h
        andi.   0, 4, KIND_MSGSNDP
        beq     2f
        msgsndp 5
2:      mfspr   0, 1023                         # PIR
        or      5, 5, 0
        andi.   0, 4, KIND_MSGSND
        beq     1f
        msgsnd  5
1:
        change  R_LPCR, 318
        change  R_LPIDR, 319
        change  R_PIDR, 48
        ld      0, R_SPR+8*12(1)                # AMR and IAMR: the peer keeps translations that they no longer allow
        mfspr   3, 29
        xor     4, 0, 3
        ld      0, R_SPR+8*13(1)
        mfspr   3, 61
        xor     5, 0, 3
        or.     4, 4, 5
        beq     1f
        ld      0, R_PIDR(1)
        mtspr   48, 0
1:      isync
        .set    at, R_SPR
        .irp    n, 26,27,19,18,17,272,273,274,275,256,815,153,29,61,157,314,315,190,304,305,307,306,339,816,896
        ld      0, at(1)
        mtspr   \n, 0
        .set    at, at+8
        .endr
        ld      0, R_CFAR(1)
        mtspr   28, 0
        lfd     0, R_FPSCR(1)
        mtfsf   255, 0, 1, 0
        lxv     32, R_VSCR(1)
        mtvscr  0
        .set    n, 0
        .rept   64
        lxv     n, R_VSR+16*n(1)
        .set    n, n+1
        .endr
        ld      0, R_LR(1)
        mtlr    0
        ld      0, R_CTR(1)
        mtctr   0
        ld      0, R_XER(1)
        mtxer   0
        li      0, 1
        mtspr   152, 0                          # CTRL: run
        ld      3, LEFT(0)                      # DEC and HDEC: seldom, because timers are slow
        andi.   3, 3, 31
        bne     1f
        lis     0, 0x7fff
        mtspr   22, 0
        mtspr   310, 0
1:      li      3, NOTHING
        stdcx.  0, 0, 3                         # No reservation
        ld      0, R_NIA(1)
        mtspr   314, 0
        ld      0, R_MSR(1)
        mtspr   315, 0
        ld      0, R_CR(1)
        mtcr    0
        ld      0, R_GPR(1)
        .set    n, 2
        .rept   30
        ld      n, R_GPR+8*n(1)
        .set    n, n+1
        .endr
        ld      1, R_GPR+8(1)
        hrfid

start:  lis     2, BLOCKS@h
        ld      3, HEADER_COUNT(2)
        ld      0, HEADER_DONE(2)
        subf    3, 0, 3
        std     3, LEFT(0)
        ld      3, HEADER_IN(2)
        std     3, IN(0)
        ld      3, HEADER_OUT(2)
        std     3, OUT(0)
        li      3, 0
        std     3, SAVING(0)
        mtspr   319, 3                          # LPIDR
        lis     3, TABLE@h
        ori     3, 3, TABLE@l
        mtspr   464, 3                          # PTCR
        li      3, -1
        mtspr   190, 3
        mtspr   349, 3                          # AMOR
        mfmsr   0
        oris    0, 0, 0x280
        ori     0, 0, 0x2000
        mtmsrd  0
        isync
        lis     0, 0x7fff
        mtspr   22, 0                           # DEC
        mtspr   310, 0                          # HDEC
        b       next

# System call vectored: 128 of them.
        .set    n, 0
        .rept   128
        .org    0x17000+32*n
        std     1, SAVED_R1(0)
        mfspr   1, 28
        std     1, SAVED_CFAR(0)
        lis     1, 1
        ori     1, 1, 0x7000+32*n
        b       save
        .set    n, n+1
        .endr
