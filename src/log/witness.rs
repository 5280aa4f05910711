//! The `add-checkpoint` call of [C2SP `tlog-witness`](https://c2sp.org/tlog-witness) on the wire: the size that the witness is
//! believed to hold, a proof from there, and the checkpoint.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::Hash;
use super::tile::decimal;

/// The content type in which a witness says which size it holds.
pub const SIZE_TYPE: &str = "text/x.tlog.size";
/// The most hashes in a proof.
pub const MAX_PROOF: usize = 63;

/// What is submitted to a witness.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submitted {
    /// The size of the checkpoint that the witness holds; 0 where it holds none.
    pub old: u64,
    /// The proof that the tree of that size is a prefix of the checkpoint's.
    pub proof: Vec<Hash>,
    /// The signed checkpoint.
    pub note: String,
}

/// What a witness answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Witnessed {
    /// The lines of its cosignatures, unread.
    Cosigned(String),
    /// The size of the checkpoint that it holds, which is not the one from which the proof leads on.
    Holds(u64),
}

/// The text is no such call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a submission to a witness: {0}")]
pub struct NotSubmitted(&'static str);

impl Submitted {
    /// As it is sent.
    pub fn encode(&self) -> String {
        let mut text = format!("old {}\n", self.old);
        for hash in &self.proof {
            let _ = writeln!(text, "{}", STANDARD.encode(hash));
        }
        text.push('\n');
        text.push_str(&self.note);
        text
    }

    /// As it was sent. The note is read by others.
    pub fn parse(text: &str) -> Result<Self, NotSubmitted> {
        let (head, note) = text.split_once("\n\n").ok_or(NotSubmitted("no empty line before the checkpoint"))?;
        let mut lines = head.split('\n');
        let old = lines.next().and_then(|line| line.strip_prefix("old ")).and_then(decimal);
        let old = old.ok_or(NotSubmitted("its first line is not old and a size"))?;
        let hash = |line: &str| STANDARD.decode(line).ok()?.try_into().ok();
        let proof = lines.map(hash).collect::<Option<Vec<Hash>>>();
        let proof = proof.ok_or(NotSubmitted("a line of the proof is not the base64 of a hash"))?;
        if proof.len() > MAX_PROOF {
            return Err(NotSubmitted("the proof has more than 63 hashes"));
        }
        Ok(Self { old, proof, note: note.to_owned() })
    }
}

impl Witnessed {
    /// From an answer: whether it is one of cosignatures, and its text; None where it says no size.
    pub fn read(cosigned: bool, text: String) -> Option<Self> {
        if cosigned { Some(Self::Cosigned(text)) } else { decimal(text.strip_suffix('\n')?).map(Self::Holds) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification, its note cut short.
    const EXAMPLE: &str = "old 20852014\n\
        PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=\n\
        jrJZDmY8Y7SyJE0MWLpLozkIVMSMZcD5kvuKxPC3swk=\n\
        \n\
        example.com/behind-the-sofa\n\
        20852163\n\
        CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\
        \n\
        — example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n";

    #[test]
    fn a_submission_is_read_and_written_alike() {
        let read = Submitted::parse(EXAMPLE).unwrap();
        assert_eq!((read.old, read.proof.len()), (20_852_014, 2));
        assert!(read.note.starts_with("example.com/behind-the-sofa\n20852163\n"));
        assert_eq!(read.encode(), EXAMPLE);
        let first = EXAMPLE.replacen("old 20852014\n", "old 0\n", 1);
        assert_eq!(Submitted::parse(&first).unwrap().old, 0);
    }

    #[test]
    fn what_is_no_submission_is_refused() {
        let hash = "PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=\n";
        for bad in [
            String::new(),
            "\n\n".into(),
            "old 5\n".into(),
            EXAMPLE.replacen("old ", "new ", 1),
            EXAMPLE.replacen("old ", "old  ", 1),
            EXAMPLE.replacen("old 2", "old 02", 1),
            EXAMPLE.replacen("old 2", "old -2", 1),
            EXAMPLE.replacen("old 2", "old 99999999999999999992", 1),
            EXAMPLE.replacen("kaw=\n", "ka\n", 1),
            EXAMPLE.replacen("kaw=\n", "kaw=\r\n", 1),
            EXAMPLE.replacen("kaw=\n", "kaw= \n", 1),
            EXAMPLE.replacen("kaw=\n", "kax=\n", 1),
            EXAMPLE.replacen("kaw=\n", "kaw=kaw=\n", 1),
            EXAMPLE.replacen(hash, &hash.repeat(63), 1),
        ] {
            assert!(Submitted::parse(&bad).is_err(), "{bad:?}");
        }
        assert_eq!(Submitted::parse(&EXAMPLE.replacen(hash, &hash.repeat(62), 1)).unwrap().proof.len(), 63);
    }

    #[test]
    fn a_size_is_a_decimal_and_a_newline() {
        let read = |text: &str| Witnessed::read(false, text.to_owned());
        assert_eq!(read("20852163\n"), Some(Witnessed::Holds(20_852_163)));
        for bad in ["", "7", "07\n", " 7\n", "7\n\n", "-7\n"] {
            assert_eq!(read(bad), None, "{bad:?}");
        }
    }
}
