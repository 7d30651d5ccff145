# Table: r registers from 0, vr registers from 256, condition flags 768, fcsr0 776.  Base: r31, link: r1.
# Vector loads and stores are words of their own, which older assemblers do not know.
    .macro vector_access opcode, register, offset
    .word \opcode | (\offset) << 10 | 31 << 5 | \register
    .endm
    b start
    .org 16
leave:
    .irp n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    st.d $r\n, $r31, 8 * \n
    vector_access 0x2c400000, \n, 256 + 16 * \n
    .endr
    move $r1, $zero
    .irp n,7,6,5,4,3,2,1,0
    slli.d $r1, $r1, 1
    movcf2gr $r2, $fcc\n
    or $r1, $r1, $r2
    .endr
    st.d $r1, $r31, 768
    movfcsr2gr $r1, $fcsr0
    bstrins.d $r1, $zero, 28, 24 # the causes
    st.d $r1, $r31, 776
    addi.d $r31, $r31, BLOCK
    b next
start:
    lu12i.w $r31, TABLE >> 12
    lu32i.d $r31, HIGH
next:
    sc.w $r1, $r31, 0 # no link is left
    ld.d $r1, $r31, 776
    movgr2fcsr $fcsr0, $r1
    ld.d $r1, $r31, 768
    .irp n,0,1,2,3,4,5,6,7
    movgr2cf $fcc\n, $r1
    srli.d $r1, $r1, 1
    .endr
    .irp n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    vector_access 0x2c000000, \n, 256 + 16 * \n
    .endr
    .irp n,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30
    ld.d $r\n, $r31, 8 * \n
    .endr
    jr $ra

    .org FINISH
    ori $r4, $zero, 1
    lu12i.w $r5, TABLE >> 12
    lu32i.d $r5, HIGH
    sub.d $r6, $r31, $r5
    ori $r11, $zero, 64 # write
    syscall 0
    ori $r4, $zero, 1
    lu12i.w $r5, DATA >> 12
    lu32i.d $r5, HIGH
    lu12i.w $r6, DATA_LEN >> 12
    syscall 0
    move $r4, $zero
    ori $r11, $zero, 93 # exit
    syscall 0

    .org SLOTS
    .rept CASES
    .space ROOM
    b leave
    .p2align 6
    .endr
