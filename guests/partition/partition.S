# Bare metal for tests: a hypervisor of one partition. Nothing of the partition's memory is mapped at first; what its guest
# comes upon the hypervisor maps, as KVM does. The guest takes interrupts of its own in its real mode, stores and
# fetches, uses what HFSCR lends it, waits for the hypervisor's decrementer, and calls the hypervisor. At the end:
#
#   r16  calls of the hypervisor           r20  doorbells that waited for the guest to begin
#   r17  hypervisor data storage           r21  hypervisor facility unavailable
#   r18  hypervisor instruction storage    r22  all of HDSISR
#   r19  hypervisor decrementer            r23  interrupts that the guest took itself
#
# Power ISA 3.0B, Book III: 6.7.11 (radix trees), 7.3 (interrupts), 11 (doorbells).
        .machine power9
        .set PARTITION_TABLE, 0x100000
        .set TREE, 0x110000             # Levels of 13, 9, 9, 9 bits: guest real to real
        .set MIDDLE, 0x120000
        .set LOWER, 0x121000
        .set LEAVES, 0x122000
        .set GUEST, 0x200000            # Where guest real 0 is mapped, 2 MiB
        .set PROCESS_TABLE, 0x10000     # Guest real from here on
        .set GUEST_TREE, 0x20000        # Effective to guest real
        .set GUEST_MIDDLE, 0x30000
        .set GUEST_LOWER, 0x31000
        .set GUEST_LEAVES, 0x32000
        .set DATA, 0x40000              # Effective and guest real, eight pages
        .set HFSCR, 190
        .set HDSISR, 306
        .set HDEC, 310
        .set HSRR0, 314
        .set HSRR1, 315
        .set LPCR, 318
        .set LPIDR, 319
        .set PTCR, 464
        .set ASDR, 816

        .macro address register, value
        lis \register, (\value) >> 16
        ori \register, \register, (\value) & 0xffff
        .endm
        # Stores `value` with the bits of r`bits` at r3 + `at`.
        .macro entry bits, value, at
        address 4, (\value)
        or 4, 4, \bits
        std 4, \at(3)
        .endm
        # Copies guest code to guest real `at`.
        .macro copy from, end, at
        li 3, \from - 4
        address 4, GUEST + \at - 4
        li 5, (\end - \from) / 4
        mtctr 5
8:      lwzu 6, 4(3)
        stwu 6, 4(4)
        bdnz 8b
        .endm

        .text
        .org 0x10
        b start

        .org 0x980                      # Hypervisor decrementer
        addi 19, 19, 1
        lis 24, 0x7fff
        mtspr HDEC, 24
        li 9, 1                         # The guest waits for this.
        hrfid

        .org 0xc00                      # System call
        addi 16, 16, 1
        cmpwi 3, 0
        beq done
        addi 3, 3, 1
        rfid

        .org 0xe00                      # Hypervisor data storage
        addi 17, 17, 1
        mfspr 24, HDSISR
        or 22, 22, 24
        b map

        .org 0xe20                      # Hypervisor instruction storage
        addi 18, 18, 1
        b map

        .org 0xe80                      # Directed hypervisor doorbell
        addi 20, 20, 1
        hrfid

        .org 0xf80                      # Hypervisor facility unavailable
        addi 21, 21, 1
        mfspr 24, HFSCR
        ori 24, 24, 1                   # Floating point
        mtspr HFSCR, 24
        hrfid

        .org 0x1000
map:                                    # The page that ASDR names
        mfspr 24, ASDR
        rldicl 25, 24, 52, 55
        sldi 25, 25, 3
        rldicr 24, 24, 0, 51
        oris 24, 24, GUEST >> 16
        ori 24, 24, 7                   # Read, write, execute
        or 24, 24, 28
        stdx 24, 29, 25
        ptesync
        hrfid

done:
        mr 23, 4
        b .

start:
        .irp register, 16, 17, 18, 19, 20, 21, 22, 23
        li \register, 0
        .endr
        li 3, 1
        sldi 27, 3, 63                  # Valid
        sldi 30, 3, 62                  # RTS of 52 bits: 2 in bits 1 and 2, 5 in bits 56 to 58
        or 28, 27, 30                   # Valid, and RTS or a leaf
        address 29, LEAVES

        # Partition 1: its tree and its process table. Process 1: its tree.
        address 3, PARTITION_TABLE + 16
        entry 28, TREE | 5 << 5 | 13, 0
        address 4, PROCESS_TABLE
        std 4, 8(3)
        address 3, GUEST + PROCESS_TABLE + 16
        entry 30, GUEST_TREE | 5 << 5 | 13, 0

        # What leads to the last level of each.
        address 3, TREE
        entry 27, MIDDLE | 9, 0
        address 3, MIDDLE
        entry 27, LOWER | 9, 0
        address 3, LOWER
        entry 27, LEAVES | 9, 0
        address 3, GUEST + GUEST_TREE
        entry 27, GUEST_MIDDLE | 9, 0
        address 3, GUEST + GUEST_MIDDLE
        entry 27, GUEST_LOWER | 9, 0
        address 3, GUEST + GUEST_LOWER
        entry 27, GUEST_LEAVES | 9, 0

        # The guest's pages: two of code, eight of data.
        address 3, GUEST + GUEST_LEAVES
        entry 28, 0x1007, 8
        entry 28, 0x2007, 16
        address 5, GUEST + GUEST_LEAVES + DATA / 512 - 8
        address 6, DATA | 6
        li 7, 8
        mtctr 7
1:      or 4, 6, 28
        stdu 4, 8(5)
        addi 6, 6, 0x1000
        bdnz 1b

        copy guest, end_of_guest, 0x1000
        copy far, end_of_far, 0x2000
        copy own_program, end_of_own_program, 0x700
        copy own_decrementer, end_of_own_decrementer, 0x900
        copy own_call, end_of_own_call, 0xc00

        address 3, PARTITION_TABLE
        mtspr PTCR, 3
        li 3, 1
        mtspr LPIDR, 3
        mtpid 3
        mfspr 3, LPCR
        oris 3, 3, 0x50                 # UPRT, HR
        ori 3, 3, 1                     # HDICE
        mtspr LPCR, 3
        li 3, 0
        mtspr HFSCR, 3
        ptesync
        isync

        lis 3, 0x2800                   # To this thread, as long as it is the hypervisor's it waits.
        msgsnd 3
        li 3, 3000
        mtspr HDEC, 3
        li 3, 0x1000
        mtspr HSRR0, 3
        li 3, 0x3032                    # FP, ME, IR, DR, RI; not HV, not EE
        or 3, 3, 27                     # SF
        mtspr HSRR1, 3
        hrfid

# The guest.
guest:
        li 9, 0
        li 10, 0
        li 11, 0
        trap
        sc
        lis 4, DATA >> 16
        li 5, 8
        mtctr 5
1:      std 5, 0(4)
        ld 6, 0(4)
        addi 4, 4, 0x1000
        bdnz 1b
        fmr 1, 2
        li 7, 0x2000
        mtctr 7
        bctrl
        li 3, 50
        mtdec 3
        mfmsr 7
        ori 7, 7, 0x8000
        mtmsrd 7, 1
1:      cmpwi 11, 0
        beq 1b
1:      cmpwi 9, 0
        beq 1b
        li 3, 41
        sc 1
        cmpwi 3, 42
        bne .
        mr 4, 10
        li 3, 0
        sc 1
end_of_guest:

far:    blr
end_of_far:

own_program:
        addi 10, 10, 1
        mfspr 3, 26
        addi 3, 3, 4
        mtspr 26, 3
        rfid
end_of_own_program:

own_decrementer:
        addi 10, 10, 1
        li 11, 1
        lis 3, 0x7fff
        mtdec 3
        rfid
end_of_own_decrementer:

own_call:
        addi 10, 10, 1
        rfid
end_of_own_call:
