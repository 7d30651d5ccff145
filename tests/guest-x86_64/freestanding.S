.globl _start
.text
# A loop, a call tree and a string copy, without any library; the exit status is 42 if all are right.
fib: push %rbx
 sub $16,%rsp
 cmp $2,%edi
 jl 1f
 mov %edi,%ebx
 lea -1(%rdi),%edi
 call fib
 mov %eax,12(%rsp)
 lea -2(%rbx),%edi
 call fib
 add 12(%rsp),%eax
 jmp 2f
1: mov %edi,%eax
2: add $16,%rsp
 pop %rbx
 ret
_start:
 xor %eax,%eax
 mov $100,%ecx
1: add %ecx,%eax
 dec %ecx
 jnz 1b
 cmp $5050,%eax
 jne bad
 mov $15,%edi
 call fib
 cmp $610,%eax
 jne bad
 lea msg(%rip),%rsi
 lea buf(%rip),%rdi
 mov $6,%ecx
 rep movsb
 mov $1,%eax
 mov $1,%edi
 lea buf(%rip),%rsi
 mov $6,%edx
 syscall
 mov $60,%eax
 mov $42,%edi
 syscall
bad: mov $60,%eax
 mov $1,%edi
 syscall
.data
msg: .ascii "hello\n"
.bss
buf: .skip 16
