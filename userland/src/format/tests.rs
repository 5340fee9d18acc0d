//! Each format against scripts of events: what a reader of that format would find, and what is there if the end never comes.

use kernel_model::abi::{IntRegisters, PtraceFlags, Signal, Status};
use kernel_model::scheme::Program;
use serde_json::Value;

use super::chrome::Chrome;
use super::json::Json;
use super::mermaid::Sequence;
use super::states::States;
use super::text::Text;
use super::xv6::Listing;
use crate::output::Output;
use crate::qualify::Quiet;
use crate::trace::moment::{Times, Unit};
use crate::trace::print::{Prefix, Style};
use crate::trace::summary::{Column, Counting, Layout, Order};
use crate::trace::testing::{Captured, Fake, Step, event};
use crate::trace::tests::{death, options, post, pre, step};
use crate::trace::view::View;
use crate::trace::{Options, Target, run};

/// Text with what JSON, Mermaid and terminals could stumble over; bytes that are not UTF-8, and no end.
const HOSTILE: &[u8] = b"a\"b\\c\n\x1b[31m\xff\xfe\xc3;#%%--{}<script>\x00";

fn family() -> Vec<Step> {
    vec![
        pre(7, 57, 1, [0; 3]),
        step(7, PtraceFlags::EVENT_CLONE, 8),
        pre(8, 2, 1, [0x1000, 0, 0]),
        post(7, 57, 1, 8),
        post(8, 2, 1, -2),
        pre(7, 62, 2, [8, 10, 0]), // kill(8, SIGUSR1)
        post(7, 62, 2, 0),
        step(8, PtraceFlags::STOP_SIGNAL, 10),
        death(8, Status::killed(Signal::USR1)),
        pre(7, 61, 3, [8, 0, 0]), // wait4
        post(7, 61, 3, 8),
        pre(7, 34, 4, [0; 3]), // pause, in which it dies
        death(7, Status::exited(3)),
    ]
}

fn traced(options: &Options, script: Vec<Step>, make: impl FnOnce(Output) -> Box<dyn View>) -> String {
    let captured = Captured::default();
    let mut view = make(captured.output());
    let fake = Fake::new(7, Status::exited(3), script)
        .memory(HOSTILE)
        .text("proc:7/exe", "file:/bin/a;b\"c")
        .text("proc:8/exe", "file:/bin/a;b\"c");
    run(&fake, &Target::Program(Program::new("x")), options, &mut *view, None, None).unwrap();
    drop(view);
    captured.output().finish("");
    captured.text()
}

fn all(make: impl FnOnce(Output) -> Box<dyn View>) -> String {
    traced(&options(true, "all"), family(), make)
}

#[test]
fn every_json_line_is_a_versioned_record() {
    let text = all(|output| Box::new(Json::new(output)));
    let records: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(records.iter().all(|record| record["v"] == 1 && record["type"].is_string()));
    let of = |kind: &str| records.iter().filter(|record| record["type"] == kind).collect::<Vec<_>>();
    let calls = of("call");
    let names: Vec<_> = calls.iter().map(|call| call["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["fork", "open", "kill", "wait4", "pause"], "one record per call");
    let open = calls[1];
    assert_eq!(
        (&open["pid"], &open["tid"], &open["seq"], &open["nr"]),
        (&8.into(), &8.into(), &1.into(), &2.into())
    );
    assert_eq!(
        (&open["result"], &open["errno"], &open["status"]),
        (&(-1).into(), &"ENOENT".into(), &"failed".into())
    );
    assert_eq!(open["raw"][0], "0x1000");
    assert!(open["text"].as_str().unwrap().contains(r#"a\"b\\c\n\33[31m\377\376"#), "{open}");
    assert!(open["duration_ns"].is_u64() && open["start_us"].is_u64());
    assert_eq!((&calls[4]["status"], calls[4].get("result")), (&"unfinished".into(), None));
    assert_eq!(of("birth")[0]["child"], 8);
    assert_eq!(
        (&of("signal")[0]["signal"], &of("signal")[0]["action"]),
        (&"SIGUSR1".into(), &"default".into())
    );
    assert_eq!((&of("exit")[0]["killed_by"], &of("exit")[1]["code"]), (&"SIGUSR1".into(), &3.into()));
}

#[test]
fn a_chrome_trace_has_slices_tracks_and_arrows() {
    let text = all(|output| Box::new(Chrome::new(output)));
    let events: Vec<Value> = serde_json::from_str(&text).unwrap();
    for event in &events {
        assert!(event["pid"].is_u64() && event["tid"].is_u64() && event["ts"].is_u64(), "{event}");
    }
    let is = |ph: &str, name: &str| -> Vec<&Value> {
        events.iter().filter(|event| event["ph"] == ph && event["name"] == name).collect()
    };
    assert_eq!(is("X", "fork")[0]["tid"], 7);
    assert!(is("X", "open")[0]["dur"].is_f64());
    assert_eq!(is("M", "process_name")[0]["args"]["name"], "7 a;b\"c");
    for arrow in ["birth", "signal"] {
        let (from, to) = (is("s", arrow), is("f", arrow));
        assert_eq!((from.len(), to.len()), (1, 1), "{arrow}");
        assert_eq!((&from[0]["id"], &from[0]["tid"], &to[0]["tid"]), (&to[0]["id"], &7.into(), &8.into()));
    }
    // A killed tool leaves whole lines and no bracket: viewers read that, and so can anybody who adds it.
    for end in text.match_indices('\n').map(|(at, _)| at).filter(|at| *at > 1) {
        let text = format!("{}]", text[..end].trim_end_matches(']'));
        assert!(serde_json::from_str::<Vec<Value>>(&text).is_ok());
    }
}

#[test]
fn a_sequence_diagram_shows_who_met_whom() {
    let text = all(|output| Box::new(Sequence::new(output)));
    let lines: Vec<_> = text.lines().map(str::trim).collect();
    assert_eq!(
        lines,
        [
            "sequenceDiagram",
            "participant P7 as 7 a#59;b#34;c",
            "participant P8 as 8 a#59;b#34;c",
            "P7->>P8: fork",
            "P7-)P8: SIGUSR1",
            "Note over P8: killed by SIGUSR1",
            "P8-->>P7: wait4, killed by SIGUSR1",
            "Note over P7: exit 3",
        ]
    );
}

#[test]
fn a_state_diagram_counts_steps() {
    let text = all(|output| Box::new(States::new(output)));
    for line in [
        "stateDiagram-v2",
        "    state \"8 a#59;b#34;c\" as P8 {",
        "        [*] --> P8_running : born of 7",
        "        P7_running --> P7_in_call : call x4",
        "        P8_running --> P8_zombie : killed by SIGUSR1",
        "        P7_in_call --> P7_zombie : exit 3",
    ] {
        assert!(text.lines().any(|other| other == line), "{line}\n{text}");
    }
    assert_eq!(text.matches('{').count(), text.matches('}').count());
}

#[test]
fn the_listing_is_a_tree() {
    let text = all(|output| Box::new(Listing::new(output)));
    assert_eq!(text, "7 zombie a;b\"c exit 3\n  8 zombie a;b\"c killed by SIGUSR1\n");
}

fn text_of(options: &Options, style: Style, joined: bool, quiet: Quiet) -> String {
    traced(options, family(), |output| {
        let text = Text::new(output, style, quiet, true);
        Box::new(if joined { text.joined() } else { text })
    })
}

#[test]
fn status_and_signal_filters_show_whole_lines() {
    let style = Style { prefix: Prefix::Always, column: 0, ..Style::default() };
    let quiet = Quiet::times(2);
    let lines = |expression: &str| {
        let text = text_of(&options(true, expression), style, true, quiet);
        text.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(lines("status=failed signal=none trace=open,fork").len(), 1);
    assert!(lines("status=failed signal=none")[0].starts_with("8     open(\"a\\\"b"));
    assert_eq!(
        lines("status=successful signal=USR1"),
        [
            "7     fork() = 8",
            "7     kill(8, SIGUSR1) = 0",
            "8     --- SIGUSR1 {SIG_DFL} ---",
            "7     wait4(8, NULL, 0, NULL) = 8"
        ]
    );
    assert_eq!(lines("status=unfinished signal=!usr1"), ["7     pause( <unfinished ...>"]);
}

#[test]
fn times_numbers_and_counters_are_where_strace_has_them() {
    let times = Times { relative: Some(Unit::Us), spent: Some(Unit::Us), ..Times::default() };
    let style = Style { times, number: true, pc: true, ..Style::default() };
    let script = vec![pre(7, 39, 1, [0; 3]), post(7, 39, 1, 7), death(7, Status::exited(0))];
    let text = traced(&options(false, "all"), script, |output| {
        Box::new(Text::new(output, style, Quiet::default(), true))
    });
    let lines: Vec<_> = text.lines().collect();
    assert!(lines[0].starts_with("     0.000000 [  39] [0000000000000000] getpid() "), "{}", lines[0]);
    let spent = lines[0].rsplit_once(" <").unwrap().1;
    assert!(spent.len() == 9 && spent.ends_with('>'), "{spent}");
    assert!(lines[1].ends_with(" [  39] [????????????????] +++ exited with 0 +++"), "{}", lines[1]);
}

#[test]
fn counting_alone_reads_no_registers_at_the_entry_and_no_memory() {
    let columns = vec![Column::Calls, Column::Errors, Column::Name];
    let counted = |script| {
        let captured = Captured::default();
        let mut view = Counting::new(None);
        let layout = Layout { columns: columns.clone(), order: Order(Some(Column::Calls)) };
        captured.output().at_end(view.at_end(layout));
        let fake = Fake::new(7, Status::exited(3), script);
        run(&fake, &Target::Program(Program::new("x")), &options(true, "all"), &mut view, None, None)
            .unwrap();
        captured.output().finish("");
        (captured.text(), fake.reads())
    };
    let (text, _) = counted(family());
    let rows: Vec<_> = text.lines().skip(2).map(|line| line.split_whitespace().collect::<Vec<_>>()).collect();
    assert_eq!(
        rows[..4].iter().filter(|row| row.contains(&"open")).collect::<Vec<_>>(),
        [&vec!["1", "1", "open"]]
    );
    assert_eq!(rows.last().unwrap(), &["4", "1", "total"], "what never returned is not counted");
    let (_, reads) =
        counted(vec![pre(7, 2, 1, [0x1000, 0, 0]), post(7, 2, 1, 3), death(7, Status::exited(3))]);
    assert_eq!(reads, ["call"], "once, for the result");
}

#[test]
fn an_injected_call_is_skipped_with_our_result() {
    let script = vec![
        pre(7, 3, 1, [3, 0, 0]),
        post(7, 3, 1, 0),
        pre(7, 3, 2, [4, 0, 0]),
        Step { pid: 7, event: event(PtraceFlags::STOP_POST_SYSCALL, 0, [0, 2, 0]), regs: regs(-5) },
        death(7, Status::exited(3)),
    ];
    let options = options(false, "inject=close:error=EIO:signal=USR1:when=2 trace=close");
    let captured = Captured::default();
    let mut view =
        Text::new(captured.output(), Style { column: 0, ..Style::default() }, Quiet::default(), true);
    let fake = Fake::new(7, Status::exited(3), script);
    run(&fake, &Target::Program(Program::new("x")), &options, &mut view, None, None).unwrap();
    let text = captured.text();
    assert!(text.starts_with("close(3) = 0\nclose(4) = -1 EIO ("), "{text}");
    assert!(text.lines().nth(1).unwrap().ends_with(") (INJECTED)"), "{text}");
    let log = fake.log();
    let at = log.iter().position(|line| line == "regs 7 rax=-5").unwrap();
    assert_eq!(log[at - 1], "kill 7 SIGUSR1");
    assert_eq!(log[at + 1], "write 7 post ignore");
    assert_eq!(log.iter().filter(|line| line.contains("ignore")).count(), 1);
}

#[test]
fn stop_at_goes_back_before_the_call_and_lets_go() {
    let script = vec![
        pre(7, 39, 1, [0; 3]),
        pre(7, 231, 2, [0; 3]),
        Step {
            pid: 7,
            event: event(PtraceFlags::STOP_POST_SYSCALL, 0, [231, 2, 0]),
            regs: IntRegisters { rip: 0x1002, ..regs(231) },
        },
    ];
    let mut options = options(false, "none");
    options.stop_at = Some(crate::select::Selection::parse("exit_group", &options.calls).unwrap());
    let captured = Captured::default();
    let mut view = Text::new(captured.output(), Style::default(), Quiet::default(), true);
    let fake = Fake::new(7, Status::exited(3), script);
    let end = run(&fake, &Target::Program(Program::new("x")), &options, &mut view, None, None).unwrap();
    let crate::trace::End::Left(left) = end else { panic!("{end:?}") };
    assert_eq!((left.pid.0, &*left.call), (7, "exit_group"));
    let log = fake.log();
    assert_eq!(log[log.len() - 3..], ["write 7 post ignore", "regs 7 rax=231 rip=0x1000", "kill 7 SIGSTOP"]);
    assert_eq!(fake.left_open(), 0);
}

fn regs(rax: i64) -> IntRegisters {
    IntRegisters { rax: rax as u64, ..Default::default() }
}
