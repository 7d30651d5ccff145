# Table: general registers from 0, HI 256, LO 264, FCSR without the causes 272, floating-point registers from 512.  Base: $30,
# link: $31.  All but FCSR are of the register's size, at multiples of 8.
    .macro address register, place
    .ifdef WIDE
    addiu \register, $0, HIGH
    dsll \register, \register, 16
    ori \register, \register, \place >> 16
    dsll \register, \register, 16
    .else
    lui \register, \place >> 16
    .endif
    .endm
    .set noreorder
    .set noat
    .ifdef WIDE
    .macro get register, offset
    ld \register, \offset
    .endm
    .macro put register, offset
    sd \register, \offset
    .endm
    .else
    .macro get register, offset
    lw \register, \offset
    .endm
    .macro put register, offset
    sw \register, \offset
    .endm
    .endif
    b start
    nop
    .org 16
    .irp n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    put $\n, 8*\n($30)
    .endr
    mfhi $1
    put $1, 256($30)
    mflo $1
    put $1, 264($30)
    cfc1 $1, $31
    ins $1, $0, 7, 16
    sw $1, 272($30)
    .irp n,0,2,4,6,8,10,12,14,16,18,20,22,24,26,28,30
    sdc1 $f\n, 512+8*\n($30)
    .endr
    .ifdef WIDE
    .irp n,1,3,5,7,9,11,13,15,17,19,21,23,25,27,29,31
    sdc1 $f\n, 512+8*\n($30)
    .endr
    .endif
    .ifdef WIDE
    daddiu $30, $30, BLOCK
    .else
    addiu $30, $30, BLOCK
    .endif
    b next
    nop
start:
    .ifndef WIDE
    addiu $4, $0, 45 # PR_SET_FP_MODE: pairs of registers, as o32 has them
    addu $5, $0, $0
    addiu $2, $0, 4192 # prctl
    syscall
    .endif
    address $30, TABLE
next:
    get $1, 256($30)
    mthi $1
    get $1, 264($30)
    mtlo $1
    lw $1, 272($30)
    ctc1 $1, $31
    .irp n,0,2,4,6,8,10,12,14,16,18,20,22,24,26,28,30
    ldc1 $f\n, 512+8*\n($30)
    .endr
    .ifdef WIDE
    .irp n,1,3,5,7,9,11,13,15,17,19,21,23,25,27,29,31
    ldc1 $f\n, 512+8*\n($30)
    .endr
    .endif
    .irp n,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,31
    get $\n, 8*\n($30)
    .endr
    jr $31
    nop

    .org FINISH
    addiu $4, $0, 1
    address $5, TABLE
    subu $6, $30, $5
    addiu $2, $0, WRITE
    syscall
    addiu $4, $0, 1
    address $5, DATA
    addiu $6, $0, DATA_LEN
    addiu $2, $0, WRITE
    syscall
    addu $4, $0, $0
    addiu $2, $0, EXIT
    syscall

    .org SLOTS
    .rept CASES
    .space ROOM
    .word 0x08000004 # j leave
    nop
    .p2align 6
    .endr
