.globl _start
.text
# Without any library; the exit status is 42 if all are right: a loop, a call tree, a string copy, the registers all at once on
# the stack, a thread's own memory behind GS, decimal numbers, x87, and a call of a family by number.
fib: push %ebx
 push %ecx
 cmp $2,%eax
 jl 1f
 mov %eax,%ebx
 dec %eax
 call fib
 mov %eax,(%esp)
 lea -2(%ebx),%eax
 call fib
 add (%esp),%eax
1: pop %ecx
 pop %ebx
 ret
_start:
 xor %eax,%eax
 mov $100,%ecx
1: add %ecx,%eax
 dec %ecx
 jnz 1b
 cmp $5050,%eax
 jne bad
 mov $15,%eax
 call fib
 cmp $610,%eax
 jne bad
 mov $msg,%esi
 mov $buf,%edi
 mov $6,%ecx
 rep movsb
 # registers
 mov $0x1234,%ebp
 pusha
 xor %ebp,%ebp
 xor %edi,%edi
 popa
 cmp $0x1234,%ebp
 jne bad
 cmp $buf+6,%edi
 jne bad
 # a descriptor of the kernel's choice
 mov $243,%eax
 mov $area,%ebx
 int $0x80
 test %eax,%eax
 jnz bad
 mov area,%eax
 lea 3(,%eax,8),%eax
 mov %ax,%gs
 mov %gs:4,%edx
 cmp $0x1000,%edx
 jne bad
 push %gs
 pop %fs
 cmp %fs:4,%edx
 jne bad
 # 47 + 38, in decimal
 mov $0x47,%al
 add $0x38,%al
 daa
 cmp $0x85,%al
 jne bad
 aam
 cmp $0x0d03,%ax
 jne bad
 # 3 * 2.5 + 1
 fildl three
 fmuls half5
 fld1
 faddp
 fistpl number
 cmpl $8,number
 jne bad
 # socketpair by its number among the calls on sockets
 mov $102,%eax
 mov $8,%ebx
 mov $arguments,%ecx
 int $0x80
 test %eax,%eax
 jnz bad
 mov $4,%eax
 mov fds,%ebx
 mov $buf,%ecx
 mov $6,%edx
 int $0x80
 mov $3,%eax
 mov fds+4,%ebx
 mov $copy,%ecx
 mov $6,%edx
 int $0x80
 cmp $6,%eax
 jne bad
 mov $4,%eax
 mov $1,%ebx
 mov $copy,%ecx
 mov $6,%edx
 int $0x80
 mov $42,%ebx
 mov $1,%eax
 int $0x80
bad: mov $1,%ebx
 mov $1,%eax
 int $0x80
.data
.balign 4
msg: .ascii "hello\n"
.balign 4
area: .long -1, own, 0xfffff, 0x51
own: .long 0, 0x1000
three: .long 3
half5: .float 2.5
arguments: .long 1, 1, 0, fds
.bss
.balign 4
number: .skip 4
fds: .skip 8
buf: .skip 16
copy: .skip 16
