# Bare metal for tests of travel on powernv: all threads set DEC and HDEC to expire while interrupts are off, take HDEC
# back to positive, send each other and themselves doorbells, clear some, and rest, in an order that a generator of random
# numbers chooses. What was latched is then delivered, or not: counts of r20 to r23 say it.
#
# Power ISA 3.0B, Book III: 7.3 (decrementers), 11 (processor control), 3.3.2 (stop).
        .machine power9
        .text
        .org 0x10
        b start

        .org 0x900                      # Decrementer
        addi 20, 20, 1
        andi. 3, 6, 0x1ff
        addi 3, 3, 100
        mtspr 22, 3
        rfid

        .org 0x980                      # Hypervisor decrementer
        addi 21, 21, 1
        andi. 3, 6, 0x3ff
        addi 3, 3, 100
        mtspr 310, 3
        hrfid

        .org 0xa00                      # Directed privileged doorbell
        addi 22, 22, 1
        rfid

        .org 0xe80                      # Directed hypervisor doorbell
        addi 23, 23, 1
        hrfid

        .org 0x1000
start:
        li 20, 0
        li 21, 0
        li 22, 0
        li 23, 0
        mfspr 10, 1023                  # PIR: 0 or 4
        addi 6, 10, 77
        lis 11, 0x2800                  # Message type 5, to thread 0 of this core
        xori 12, 10, 4
        or 12, 12, 11                   # To the other core
        mfspr 3, 318
        ori 3, 3, 1                     # LPCR[HDICE]
        mtspr 318, 3
        li 3, 0
        mtspr 855, 3                    # PSSCR
        li 3, 1000
        mtspr 22, 3
        mtspr 310, 3
        mfmsr 8
        ori 9, 8, 0x8000

loop:
        mtmsrd 8, 1                     # Interrupts off
        mulli 6, 6, 5189
        addi 6, 6, 4099
        rldicl 7, 6, 48, 58             # 0 to 63
        addi 7, 7, 1
        mtctr 7
        bdnz $
        andi. 4, 7, 1
        beq 1f
        msgsnd 12
1:      andi. 4, 7, 2
        beq 1f
        msgsndp 11
1:      andi. 4, 7, 12
        bne 1f
        msgclr 11
1:      andi. 4, 7, 4
        beq 1f
        li 3, 3                         # Expires now, and is positive again.
        mtspr 310, 3
        mtctr 7
        bdnz $
        li 3, 700
        mtspr 310, 3
1:      andi. 4, 7, 56
        bne 1f
        stop                            # Until something is pending.
1:      mtmsrd 9, 1                     # Interrupts on
        nop
        b loop
