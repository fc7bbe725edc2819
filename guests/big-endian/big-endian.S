# A big-endian payload of skiboot, a raw image at 0x20000000. It takes traps through 0x700, whose handler tells by which
# byte order it is entered: HID0[HILE] is off at first, on after OPAL_REINIT_CPUS asked for it, and off again. It prints
# how many traps came in big-endian and in little-endian state, and powers off by OPAL.
#
# skiboot: doc/opal-api, and asm/head.S for the entry: tree in r3, OPAL's base in r8, its entry in r9. Power ISA 3.0B,
# Book III, 6.5 (interrupts leave MSR[LE] as HILE says).
        .machine power9
        .text
start:
        bcl 20, 31, 1f
1:      mflr 30
        addi 30, 30, start - 1b         # Where this image is
        mr 28, 8
        mr 29, 9
        li 20, 0
        li 21, 0

        # The handler to 0x700.
        addi 3, 30, handler - start - 4
        li 4, 0x700 - 4
        li 5, (end_of_handler - handler) / 4
        mtctr 5
1:      lwzu 6, 4(3)
        stwu 6, 4(4)
        bdnz 1b
        li 4, 0x700
        dcbst 0, 4
        sync
        icbi 0, 4
        isync

        trap
        li 3, 2                         # OPAL_REINIT_CPUS_HILE_LE
        li 0, 70
        bl opal
        trap
        trap
        li 3, 1                         # OPAL_REINIT_CPUS_HILE_BE
        li 0, 70
        bl opal
        trap

        addi 3, 30, counts - start
        addi 20, 20, '0'
        addi 21, 21, '0'
        stb 20, 0(3)
        stb 21, counts_little - counts(3)
        li 3, 0
        addi 4, 30, length - start
        addi 5, 30, text - start
        li 0, 1                         # OPAL_CONSOLE_WRITE
        bl opal
        li 3, 0
        li 0, 5                         # OPAL_CEC_POWER_DOWN
        bl opal
1:      addi 3, 30, events - start
        li 0, 10                        # OPAL_POLL_EVENTS
        bl opal
        b 1b

        # Calls OPAL; keeps r20 and up.
opal:
        mflr 27
        mr 2, 28
        mtctr 29
        bctrl
        mtlr 27
        blr

handler:
        .long 0x08000048                # tdi 0, 0, 72; as a little-endian word, b $+8
        b 1f
        # Little-endian: addi 21, 21, 1; mfsrr0 3; addi 3, 3, 4; mtsrr0 3; rfid
        .long 0x0100b53a, 0xa6027a7c, 0x04006338, 0xa6037a7c, 0x2400004c
1:      addi 20, 20, 1
        mfspr 3, 26
        addi 3, 3, 4
        mtspr 26, 3
        rfid
end_of_handler:

        .balign 8
length: .quad end_of_text - text
events: .quad 0
text:   .ascii "payload: traps in big-endian state: "
counts: .ascii "?, little-endian: "
counts_little:
        .ascii "?\n"
end_of_text:
