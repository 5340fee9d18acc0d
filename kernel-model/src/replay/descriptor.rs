//! Bytes of what was asked about descriptors: which one, its name, what is behind it.

use super::entry::{Answer, Ask, MEDIUM, NAME, put_result, take_pid, take_result};
use super::wire::{Put, Take};
use crate::machine::{Medium, Result, Socket, Which};

/// 0 is the folder, a number one less.
pub(super) fn put_descriptor(out: &mut Vec<u8>, ask: &Ask, answer: &Result<Answer>) -> u8 {
    let (which, kind) = match ask {
        Ask::Medium(which) => (*which, MEDIUM),
        Ask::Name(which) => (*which, NAME),
        _ => (Which::Folder, NAME),
    };
    out.put(match which {
        Which::Folder => 0,
        Which::Number(number) => u64::from(number) + 1,
    });
    put_result(out, answer, |out, answer| match answer {
        Answer::Name(Some(name)) => {
            out.put(1);
            out.put_bytes(name);
        }
        Answer::Medium(Some(medium)) => {
            out.put(1);
            put_medium(out, medium);
        }
        _ => out.put(0),
    });
    kind
}

pub(super) fn take_descriptor(kind: u8, take: &mut Take<'_>) -> Option<(Ask, Result<Answer>)> {
    let which = match take.number()? {
        0 => Which::Folder,
        number => Which::Number(u32::try_from(number - 1).ok()?),
    };
    if kind == NAME {
        let name =
            take_result(take, |take| Some(if take.flag()? { Some(take.bytes()?.to_vec()) } else { None }))?;
        return Some((Ask::Name(which), name.map(Answer::Name)));
    }
    let medium = take_result(take, |take| Some(if take.flag()? { Some(take_medium(take)?) } else { None }))?;
    Some((Ask::Medium(which), medium.map(Answer::Medium)))
}

fn put_medium(out: &mut Vec<u8>, medium: &Medium) {
    match medium {
        Medium::Named => out.put(0),
        Medium::Device { character, major, minor } => {
            [1, u64::from(*character), *major, *minor].into_iter().for_each(|number| out.put(number));
        }
        Medium::Process(pid) => [2, u64::from(pid.0)].into_iter().for_each(|number| out.put(number)),
        Medium::Socket(Socket { protocol, id, local, peer }) => {
            out.put(3);
            out.put_bytes(protocol.as_bytes());
            out.put(*id);
            for address in [local, peer] {
                out.put(address.is_some().into());
                address.iter().for_each(|address| out.put_bytes(address.as_bytes()));
            }
        }
    }
}

fn take_medium(take: &mut Take<'_>) -> Option<Medium> {
    let text = |take: &mut Take<'_>| String::from_utf8(take.bytes()?.to_vec()).ok();
    Some(match take.number()? {
        0 => Medium::Named,
        1 => Medium::Device { character: take.flag()?, major: take.number()?, minor: take.number()? },
        2 => Medium::Process(take_pid(take)?),
        3 => {
            let (protocol, id) = (text(take)?, take.number()?);
            let local = if take.flag()? { Some(text(take)?) } else { None };
            let peer = if take.flag()? { Some(text(take)?) } else { None };
            Medium::Socket(Socket { protocol, id, local, peer })
        }
        _ => return None,
    })
}
