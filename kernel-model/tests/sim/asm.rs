//! Texts that are wrong, and the line and the sentence that say so.

use kernel_model::sim::SimNames;
use kernel_model::sim::asm::assemble;

fn complaint(text: &str) -> String {
    match assemble(text, &SimNames) {
        Ok(_) => panic!("this was accepted: {text}"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn every_mistake_has_its_line_and_its_sentence() {
    let long = format!("program {}\nnop\n.data\n.path {0}", "p".repeat(300));
    for (text, expected) in [
        ("", "line 1: there is no program"),
        ("# only this\n\n", "line 2: there is no program"),
        ("nop", "line 1: expected 'program NAME' first"),
        ("program", "line 1: expected a name, found ''"),
        ("program p", "line 1: program 'p' has no instructions"),
        ("program p\nprogram q\nnop", "line 1: program 'p' has no instructions"),
        ("program p\nnop\nprogram p\nnop", "line 3: program 'p' is defined twice"),
        ("program p\nhalt", "line 2: unknown instruction 'halt'"),
        ("program p\n\n  mov rax", "line 3: 'mov' does not take these operands"),
        ("program p\n mov [rax], 5", "line 2: 'mov' does not take these operands"),
        ("program p\n push 5", "line 2: 'push' does not take these operands"),
        ("program p\n mov rax, [rbx", "line 2: expected ']'"),
        ("program p\n mov rax, 5x", "line 2: expected a number or a name, found '5x'"),
        ("program p\n mov rax, rbx + 1", "line 2: expected a number or a name, found 'rbx'"),
        ("program p\n jmp nowhere", "line 2: unknown name 'nowhere'"),
        ("program p\n sys nothing", "line 2: unknown call 'sys.nothing'"),
        ("program p\n sys exit, 1, 2, 3, 4, 5, 6, 7", "line 2: a call has at most 6 arguments"),
        ("program p\na: nop\na: nop", "line 3: label 'a' is defined twice"),
        ("program p\nrax: nop", "line 2: 'rax' cannot be a label"),
        ("program p\na.b: nop", "line 2: 'a.b' cannot be a label"),
        ("program p\nadd rax, 0x80000000", "line 2: 0x80000000 does not fit 32 bits"),
        ("program p\n.bss", "line 2: unknown directive '.bss'"),
        ("program p\n.data 1", "line 2: .data takes nothing"),
        ("program p\n.data\n nop", "line 3: instructions belong into .text"),
        ("program p\nnop\n.data\n.byte 256", "line 4: 256 does not fit a byte"),
        ("program p\nnop\n.data\n.space x", "line 4: .space takes a number of bytes"),
        ("program p\nnop\n.data\n.space 0x300000", "line 4: the section is too large"),
        ("program p\nnop\n.data\n.asciz open", "line 4: expected a string in double quotes"),
        ("program p\nnop\n.data\n.asciz \"\\q\"", "line 4: unknown escape in a string"),
        ("program p\nnop\n.data\n.path q", "line 4: there is no program 'q' in this file"),
        (&long, &format!("line 4: the path of '{}' is too long", "p".repeat(300))),
    ] {
        assert_eq!(complaint(text), expected, "{text}");
    }
}

#[test]
fn comments_colons_and_signs_inside_quotes_are_text() {
    let text = "program p # one\n nop # ; \"\n.data\na: .asciz \"a: # b\" # c\n.byte '#', '-', '+'";
    let image = &assemble(text, &SimNames).unwrap()[0];
    assert_eq!(image.segments[1].bytes, b"a: # b\0#-+");
    assert_eq!(image.labels.len(), 1);
}

#[test]
fn a_file_can_hold_several_programs_each_with_labels_of_its_own() {
    let images = assemble("program p\na: nop\nprogram q\nb: nop\na: start: nop", &SimNames).unwrap();
    assert_eq!(images.len(), 2);
    assert_eq!(images[1].entry, images[1].labels["a"]);
    assert_ne!(images[0].labels["a"], images[1].labels["a"]);
}
