# Table: x registers from 0, f registers from 256, fcsr 512.  Base: x31, link: x1.
    .option norelax
    .option norvc
    j start
    .org 16
leave:
    .irp n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    sd x\n, (8 * \n)(x31)
    fsd f\n, (256 + 8 * \n)(x31)
    .endr
    csrr x1, fcsr
    sd x1, 512(x31)
    addi x31, x31, BLOCK
    j next
start:
    li x31, HIGH << 32 | TABLE
next:
    sc.w x0, x0, (x31) # no reservation is left
    ld x1, 512(x31)
    csrw fcsr, x1
    .irp n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    fld f\n, (256 + 8 * \n)(x31)
    .endr
    .irp n,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30
    ld x\n, (8 * \n)(x31)
    .endr
    jr x1

    .org FINISH
    li x10, 1
    li x11, HIGH << 32 | TABLE
    sub x12, x31, x11
    li x17, 64 # write
    ecall
    li x10, 1
    li x11, HIGH << 32 | DATA
    li x12, DATA_LEN
    ecall
    li x10, 0
    li x17, 93 # exit
    ecall

    .org SLOTS
    .rept CASES
    .space ROOM
    j leave
    .p2align 6
    .endr
