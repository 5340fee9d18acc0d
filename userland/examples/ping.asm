# output: ping pong
# ends: exit 0
program pingpong
    sys pipe, there                 # 3 and 4
    sys pipe, back                  # 5 and 6
    sys fork
    test rax, rax
    je   child
    sys write, 4, ping, 5
    sys read, 5, buffer, 5
    sys write, 1, buffer, 5
    sys wait4, -1, 0, 0, 0
    sys exit, 0
child:
    sys read, 3, buffer, 5
    sys write, 1, buffer, 5
    sys write, 6, pong, 5
    sys exit, 0
.data
there:  .word 0
back:   .word 0
buffer: .space 8
ping:   .asciz "ping "
pong:   .asciz "pong\n"
