//! What the assembler makes, byte by byte, against an assembler that we did not write; and that the processor runs it.

use kernel_model::machine::{Demand, Report};
use kernel_model::sim::SimNames;
use kernel_model::sim::asm::{DATA_BASE, TEXT_BASE, assemble};

use super::{regs, spawn, to};

/// From GNU as, where it has the choice between encodings with operands that leave it none.
const KNOWN: &[(&str, &str)] = &[
    ("mov rax, 5", "48 c7 c0 05 00 00 00"),
    ("mov r15, -1", "49 c7 c7 ff ff ff ff"),
    ("mov rdi, 0x123456789abcdef", "48 bf ef cd ab 89 67 45 23 01"),
    ("mov r9, 0x80000000", "49 b9 00 00 00 80 00 00 00 00"),
    ("mov rbx, r12", "4c 89 e3"),
    ("mov r8, rdx", "49 89 d0"),
    ("mov rax, [rbx]", "48 8b 03"),
    ("mov rax, [rsp]", "48 8b 04 24"),
    ("mov rax, [rbp]", "48 8b 45 00"),
    ("mov r14, [r13]", "4d 8b 75 00"),
    ("mov r10, [r12 + 8]", "4d 8b 54 24 08"),
    ("mov rcx, [rdi - 8]", "48 8b 4f f8"),
    ("mov rcx, [rsi + 0x1000]", "48 8b 8e 00 10 00 00"),
    ("mov [rsp + 16], r11", "4c 89 5c 24 10"),
    ("mov [rax], rsp", "48 89 20"),
    ("lea rax, [rcx + 128]", "48 8d 81 80 00 00 00"),
    ("add rcx, 0x1234", "48 81 c1 34 12 00 00"),
    ("or r9, 0x1234", "49 81 c9 34 12 00 00"),
    ("and rdi, -0x1234", "48 81 e7 cc ed ff ff"),
    ("sub rsp, 0x1234", "48 81 ec 34 12 00 00"),
    ("xor r15, 0x1234", "49 81 f7 34 12 00 00"),
    ("cmp rbx, 0x1234", "48 81 fb 34 12 00 00"),
    ("add rax, r8", "4c 01 c0"),
    ("or r8, rax", "49 09 c0"),
    ("and rsi, rdi", "48 21 fe"),
    ("sub r15, r14", "4d 29 f7"),
    ("xor rax, rax", "48 31 c0"),
    ("cmp rcx, rdx", "48 39 d1"),
    ("test rax, rax", "48 85 c0"),
    ("test r9, rbx", "49 85 d9"),
    ("test rsi, 0x1234", "48 f7 c6 34 12 00 00"),
    ("inc rax", "48 ff c0"),
    ("inc r13", "49 ff c5"),
    ("dec rcx", "48 ff c9"),
    ("dec r8", "49 ff c8"),
    ("push rax", "50"),
    ("push r15", "41 57"),
    ("pop rbx", "5b"),
    ("pop r9", "41 59"),
    ("ret", "c3"),
    ("nop", "90"),
    ("syscall", "0f 05"),
    ("int3", "cc"),
    ("ud2", "0f 0b"),
    ("fld qword [rax]", "dd 00"),
    ("fld qword [r9 + 8]", "41 dd 41 08"),
    ("fstp qword [rbx]", "dd 1b"),
    ("fsqrt", "d9 fa"),
];

fn bytes(body: &str) -> String {
    let images = assemble(&format!("program p\n{body}"), &SimNames).unwrap();
    let hex: Vec<String> = images[0].segments[0].bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    hex.join(" ")
}

#[test]
fn instructions_have_the_bytes_of_the_real_machine() {
    for (source, expected) in KNOWN {
        assert_eq!(bytes(source), *expected, "{source}");
    }
}

#[test]
fn every_known_instruction_is_run_by_the_processor_and_not_refused() {
    for (source, _) in KNOWN {
        let prepare = "mov rax, place\n mov rbx, place\n mov rcx, place\n mov rdi, place\n mov rsi, place\n\
                       mov rbp, place\n mov r9, place\n mov r12, place\n mov r13, place\n";
        let text = format!(
            "program p\n{prepare} jmp this\nthis:\n{source}\n nop\n.data\n.space 4096\nplace: .space 8192"
        );
        let (mut sim, task) = spawn(&text);
        for _ in 0..10 {
            assert_eq!(to(&mut sim, task, Demand::STEP), Report::Step);
        }
        let report = to(&mut sim, task, Demand::all());
        match *source {
            "ud2" => assert_eq!(report, Report::Signal),
            "int3" => assert_eq!(report, Report::Trap),
            "syscall" => assert_eq!(report, Report::CallEntry),
            _ => {
                assert_eq!(report, Report::Step, "{source}");
                if *source == "ret" {
                    continue;
                }
                let size =
                    KNOWN.iter().find(|(known, _)| known == source).unwrap().1.split(' ').count() as u64;
                let after = regs(&mut sim, task).rip - TEXT_BASE - 9 * 7 - 5;
                assert_eq!(after, size, "{source}");
            }
        }
    }
}

#[test]
fn jumps_and_labels_are_relative_to_the_next_instruction() {
    assert_eq!(bytes("here: jmp here"), "e9 fb ff ff ff");
    assert_eq!(bytes("jmp there\n nop\n there: ret"), "e9 01 00 00 00 90 c3");
    assert_eq!(bytes("call there\n there: ret"), "e8 00 00 00 00 c3");
    let jumps = ["jb", "jae", "je", "jne", "jbe", "ja", "js", "jns", "jl", "jge", "jle", "jg"];
    let codes = ["82", "83", "84", "85", "86", "87", "88", "89", "8c", "8d", "8e", "8f"];
    for (jump, code) in jumps.iter().zip(codes) {
        assert_eq!(bytes(&format!("here: {jump} here")), format!("0f {code} fa ff ff ff"));
    }
    // The distance from 0x400007 to 0x600000.
    assert_eq!(bytes("lea rax, [cell]\n .data\n cell: .word 0"), "48 8d 05 f9 ff 1f 00");
    assert_eq!(bytes("mov r9, cell\n .data\n cell: .word 0"), "49 c7 c1 00 00 60 00");
}

#[test]
fn sizes_depend_on_how_an_operand_is_written_and_not_on_its_value() {
    assert_eq!(bytes("mov rax, sys.exit").len(), bytes("mov rax, 1").len());
    assert_eq!(bytes("mov rax, [rbx + sig.hup]"), "48 8b 83 01 00 00 00");
}

#[test]
fn data_is_laid_out_as_written() {
    let text = "program p\n nop\n.data\na: .word 1, a, -1\nb: .byte 1, 'x', -1\n.asciz \"h\\n\"\nc: .path p\nd: .word c - a";
    let image = &assemble(text, &SimNames).unwrap()[0];
    let data = &image.segments[1];
    assert_eq!((data.address, data.writable, data.executable), (DATA_BASE, true, false));
    assert_eq!(data.bytes[..8], 1_u64.to_le_bytes());
    assert_eq!(data.bytes[8..16], DATA_BASE.to_le_bytes());
    assert_eq!(data.bytes[24..27], [1, b'x', 255]);
    assert_eq!(data.bytes[27..30], *b"h\n\0");
    assert_eq!(data.bytes[30..32], *b"p\0");
    assert_eq!(image.labels["d"], DATA_BASE + 30 + 256);
    assert_eq!(data.bytes[286..294], 30_u64.to_le_bytes());
    assert_eq!((image.entry, image.segments[0].address), (TEXT_BASE, TEXT_BASE));
}
