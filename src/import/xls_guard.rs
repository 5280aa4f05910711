//! What an XLS workbook would grow to in memory, found out before it is parsed.
//!
//! calamine makes a dense table of each sheet, and copies a shared string into every cell that names it; so two cells far
//! apart, or one long string named a million times, would take any amount of memory. This reads just enough of
//! [MS-CFB] to find the workbook's stream, and of [MS-XLS] to add up sizes.

use super::NotAnUpload;

/// The most cells, blank ones included, over all sheets.
pub(super) const MAX_CELLS: u64 = 4_000_000;
/// The most text, over all sheets.
pub(super) const MAX_TEXT: u64 = 128 * 1024 * 1024;
const MAX_SHEETS: usize = 256;

/// Refuses a workbook (the bytes of its file) that would grow too large.
pub(super) fn check(file: &[u8]) -> Result<(), NotAnUpload> {
    if names(file, "EncryptedPackage") {
        return Err(damaged("it is protected by a password; save it without one"));
    }
    let stream = workbook_stream(file).ok_or_else(|| damaged("its directory leads nowhere"))?;
    let globals = Globals::read(&stream).ok_or_else(|| damaged("its list of sheets or texts breaks off"))?;
    if globals.sheets.len() > MAX_SHEETS {
        return Err(damaged("too many sheets"));
    }
    let (mut cells, mut text) = (0u64, 0u64);
    for at in &globals.sheets {
        let sheet = stream.get(*at..).ok_or_else(|| damaged("a sheet lies beyond its end"))?;
        let (more_cells, more_text) = sheet_size(sheet, &globals.strings);
        cells = cells.saturating_add(more_cells);
        text = text.saturating_add(more_text);
    }
    if cells > MAX_CELLS || text > MAX_TEXT {
        return Err(NotAnUpload::TooLarge { limit: MAX_TEXT });
    }
    Ok(())
}

/// Whether a stream of this name may be in it: a workbook with a password, XLSX too, is a compound file around it.
fn names(file: &[u8], stream: &str) -> bool {
    let name: Vec<u8> = stream.encode_utf16().flat_map(u16::to_le_bytes).collect();
    file.chunks_exact(128).any(|entry| entry.starts_with(&name))
}

fn damaged(reason: &str) -> NotAnUpload {
    NotAnUpload::damaged("XLS", &reason)
}

/// The stream `Workbook` (or `Book`, before Excel 97) of a compound file. [MS-CFB] 2.
fn workbook_stream(file: &[u8]) -> Option<Vec<u8>> {
    let sector_size = match u16_at(file, 30)? {
        9 => 512,
        12 => 4096,
        _ => return None,
    };
    let sector = |id: u32| {
        let start = (id as usize + 1).checked_mul(sector_size)?;
        file.get(start..).map(|rest| &rest[..rest.len().min(sector_size)])
    };
    let sectors = file.len() / sector_size + 1;
    let mut difat: Vec<u32> = words(file.get(76..512)?).collect();
    let mut next = u32_at(file, 68)?;
    for _ in 0..sectors {
        if next >= 0xFFFF_FFFA {
            break;
        }
        difat.extend(words(sector(next)?));
        next = difat.pop()?;
    }
    let mut fat = Vec::new();
    for id in difat.into_iter().filter(|id| *id < 0xFFFF_FFFA).take(sectors) {
        fat.extend(words(sector(id)?));
    }
    let directory = chain(u32_at(file, 48)?, &fat, sectors, sector)?;
    let entries: Vec<&[u8]> = directory.chunks_exact(128).collect();
    let is_named = |entry: &[u8], name: &str| {
        let letters = entry[..64].chunks_exact(2).map(|c| u16::from_le_bytes([c[0], c[1]])).take_while(|c| *c != 0);
        letters.map(|c| u8::try_from(c).unwrap_or(b'?').to_ascii_lowercase()).eq(name.bytes())
    };
    let entry =
        entries.iter().find(|e| is_named(e, "workbook")).or_else(|| entries.iter().find(|e| is_named(e, "book")))?;
    let (start, length) = (u32_at(entry, 116)?, u32_at(entry, 120)? as usize);
    let mut stream = if length < 4096 {
        let root = entries.first()?;
        let small = chain(u32_at(root, 116)?, &fat, sectors, sector)?;
        let small_fat: Vec<u32> = words(&chain(u32_at(file, 60)?, &fat, sectors, sector)?).collect();
        chain(start, &small_fat, 4096 / 64 + 1, |id| {
            let at = (id as usize).checked_mul(64)?;
            small.get(at..).map(|rest| &rest[..rest.len().min(64)])
        })?
    } else {
        chain(start, &fat, sectors, sector)?
    };
    stream.truncate(length);
    Some(stream)
}

/// The sectors of a chain one behind the other; None where it leads out of the file or in a circle.
fn chain<'a>(start: u32, fat: &[u32], most: usize, sector: impl Fn(u32) -> Option<&'a [u8]>) -> Option<Vec<u8>> {
    let (mut out, mut id) = (Vec::new(), start);
    for _ in 0..=most {
        if id >= 0xFFFF_FFFA {
            return Some(out);
        }
        out.extend_from_slice(sector(id)?);
        id = *fat.get(id as usize)?;
    }
    None
}

/// Where the sheets begin, and how long in bytes of UTF-8 each shared string may be.
struct Globals {
    sheets: Vec<usize>,
    strings: Vec<u64>,
}

impl Globals {
    fn read(stream: &[u8]) -> Option<Self> {
        let mut globals = Self { sheets: Vec::new(), strings: Vec::new() };
        let mut shared: Option<Vec<&[u8]>> = None;
        for (kind, bytes) in (Records { stream }) {
            match (kind, &mut shared) {
                (0x003C, Some(parts)) => parts.push(bytes),
                (0x003C, None) => {}
                (0x00FC, _) => shared = Some(vec![bytes]),
                _ => {
                    if let Some(parts) = shared.take() {
                        globals.strings = string_lengths(&parts)?;
                    }
                    match kind {
                        0x0085 => globals.sheets.push(u32_at(bytes, 0)? as usize),
                        0x000A => return Some(globals),
                        _ => {}
                    }
                }
            }
        }
        if let Some(parts) = shared.take() {
            globals.strings = string_lengths(&parts)?;
        }
        Some(globals)
    }
}

/// Lengths of the shared strings. [MS-XLS] 2.4.265, 2.5.293: a string goes on in the next record behind a byte that says
/// anew whether its letters take one byte or two.
fn string_lengths(parts: &[&[u8]]) -> Option<Vec<u64>> {
    let mut parts = parts.iter().copied();
    let mut part = parts.next()?.get(8..)?;
    let mut lengths = Vec::new();
    loop {
        while part.is_empty() {
            match parts.next() {
                Some(next) => part = next,
                None => return Some(lengths),
            }
        }
        let (mut letters, flags) = (u16_at(part, 0)?, *part.get(2)?);
        part = part.get(3..)?;
        lengths.push(u64::from(letters) * 3);
        let mut behind = 0usize;
        if flags & 8 != 0 {
            behind += usize::from(u16_at(part, 0)?) * 4;
            part = part.get(2..)?;
        }
        if flags & 4 != 0 {
            behind += u32_at(part, 0)? as usize;
            part = part.get(4..)?;
        }
        let mut size = 1 + u16::from(flags & 1);
        loop {
            let here = letters.min(u16::try_from(part.len() / usize::from(size)).unwrap_or(u16::MAX));
            part = part.get(usize::from(here) * usize::from(size)..)?;
            letters -= here;
            if letters == 0 {
                break;
            }
            part = parts.next()?;
            size = 1 + u16::from(part.first()? & 1);
            part = part.get(1..)?;
        }
        while behind > 0 {
            if part.is_empty() {
                part = parts.next()?;
            }
            let here = behind.min(part.len());
            part = &part[here..];
            behind -= here;
        }
    }
}

/// Cells of the dense table of a sheet, and bytes of the text in it.
fn sheet_size(sheet: &[u8], strings: &[u64]) -> (u64, u64) {
    let (mut top, mut bottom, mut left, mut right) = (u16::MAX, 0, u16::MAX, 0);
    let (mut stated, mut text, mut depth) = (0u64, 0u64, 0u32);
    for (kind, bytes) in (Records { stream: sheet }) {
        match kind {
            0x0809 => depth += 1,
            0x000A if depth <= 1 => break,
            0x000A => depth -= 1,
            // the table's size as the file states it, for which room is made
            0x0200 => {
                let span =
                    |a, b| u64::from(u32_at(bytes, b).unwrap_or(0).saturating_sub(u32_at(bytes, a).unwrap_or(0)));
                let columns = u16_at(bytes, 10).unwrap_or(0).saturating_sub(u16_at(bytes, 8).unwrap_or(0));
                stated = stated.max((span(0, 4) + 1).saturating_mul(u64::from(columns) + 1));
            }
            0x0203 | 0x0204 | 0x00D6 | 0x0205 | 0x0207 | 0x027E | 0x00FD | 0x00BD | 0x0006 => {
                let (Some(row), Some(column)) = (u16_at(bytes, 0), u16_at(bytes, 2)) else { continue };
                if kind != 0x0207 {
                    let last = if kind == 0x00BD { u16_at(bytes, bytes.len().saturating_sub(2)) } else { None };
                    (top, bottom) = (top.min(row), bottom.max(row));
                    (left, right) = (left.min(column), right.max(column).max(last.unwrap_or(0)));
                }
                text += match kind {
                    0x00FD => u32_at(bytes, 6).and_then(|at| strings.get(at as usize)).copied().unwrap_or(0),
                    _ => bytes.len() as u64 * 3,
                };
            }
            _ => {}
        }
    }
    let span = |a: u16, b: u16| u64::from(b.saturating_sub(a)) + 1;
    (stated.max(span(top, bottom) * span(left, right)), text)
}

/// The records of a stream: type, length, bytes. [MS-XLS] 2.1.4.
struct Records<'a> {
    stream: &'a [u8],
}

impl<'a> Iterator for Records<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<(u16, &'a [u8])> {
        let (kind, length) = (u16_at(self.stream, 0)?, usize::from(u16_at(self.stream, 2)?));
        let bytes = self.stream.get(4..4 + length)?;
        self.stream = &self.stream[4 + length..];
        Some((kind, bytes))
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn words(bytes: &[u8]) -> impl Iterator<Item = u32> + use<'_> {
    bytes.chunks_exact(4).map(|c| u32::from_le_bytes([c[0], c[1], c[2], c[3]]))
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    fn record(out: &mut Vec<u8>, kind: u16, bytes: &[u8]) {
        out.extend(kind.to_le_bytes());
        out.extend(u16::try_from(bytes.len()).unwrap().to_le_bytes());
        out.extend(bytes);
    }

    /// A workbook of one sheet: texts as shared strings, numbers as they are; (row, column, cell).
    pub fn workbook(cells: &[(u16, u16, Result<f64, &str>)]) -> Vec<u8> {
        let texts: Vec<&str> = cells.iter().filter_map(|(_, _, cell)| cell.err()).collect();
        let mut shared = [(texts.len() as u32).to_le_bytes(), (texts.len() as u32).to_le_bytes()].concat();
        for text in &texts {
            let letters: Vec<u16> = text.encode_utf16().collect();
            shared.extend((letters.len() as u16).to_le_bytes());
            shared.push(1);
            shared.extend(letters.iter().flat_map(|l| l.to_le_bytes()));
        }
        let begin = [0x00, 0x06, 0x05, 0x00, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        let mut stream = Vec::new();
        record(&mut stream, 0x0809, &begin);
        record(&mut stream, 0x00FC, &shared);
        let bound = stream.len() + 4;
        record(&mut stream, 0x0085, &[0, 0, 0, 0, 0, 0, 1, 0, b'S']);
        record(&mut stream, 0x000A, &[]);
        let start = (stream.len() as u32).to_le_bytes();
        stream[bound..bound + 4].copy_from_slice(&start);
        record(&mut stream, 0x0809, &[0x00, 0x06, 0x10, 0x00, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        let mut shared = 0u32;
        for (row, column, cell) in cells {
            let mut bytes = [row.to_le_bytes(), column.to_le_bytes(), [0, 0]].concat();
            match cell {
                Ok(number) => {
                    bytes.extend(number.to_le_bytes());
                    record(&mut stream, 0x0203, &bytes);
                }
                Err(_) => {
                    bytes.extend(shared.to_le_bytes());
                    shared += 1;
                    record(&mut stream, 0x00FD, &bytes);
                }
            }
        }
        record(&mut stream, 0x000A, &[]);
        compound(&stream)
    }

    /// A compound file with one stream: header, FAT, directory, stream.
    fn compound(stream: &[u8]) -> Vec<u8> {
        let mut stream = stream.to_vec();
        stream.resize(stream.len().max(4096).next_multiple_of(512), 0);
        let sectors = stream.len() / 512;
        assert!(sectors + 2 <= 128, "one sector of FAT");
        let mut file = b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1".to_vec();
        file.resize(512, 0);
        file[24..26].copy_from_slice(&0x3Eu16.to_le_bytes());
        file[26..28].copy_from_slice(&3u16.to_le_bytes());
        file[28..30].copy_from_slice(&0xFFFEu16.to_le_bytes());
        file[30..32].copy_from_slice(&9u16.to_le_bytes());
        file[32..34].copy_from_slice(&6u16.to_le_bytes());
        file[44..48].copy_from_slice(&1u32.to_le_bytes());
        file[48..52].copy_from_slice(&1u32.to_le_bytes());
        file[56..60].copy_from_slice(&4096u32.to_le_bytes());
        file[60..64].copy_from_slice(&0xFFFF_FFFEu32.to_le_bytes());
        file[68..72].copy_from_slice(&0xFFFF_FFFEu32.to_le_bytes());
        file[76..512].fill(0xFF);
        file[76..80].copy_from_slice(&0u32.to_le_bytes());
        let mut fat = vec![0xFFFF_FFFDu32, 0xFFFF_FFFE];
        fat.extend((0..sectors as u32).map(|n| if n + 1 == sectors as u32 { 0xFFFF_FFFE } else { n + 3 }));
        fat.resize(128, 0xFFFF_FFFF);
        file.extend(fat.iter().flat_map(|w| w.to_le_bytes()));
        for (name, kind, start, length) in
            [("Root Entry", 5u8, 0xFFFF_FFFEu32, 0u32), ("Workbook", 2, 2, stream.len() as u32)]
        {
            let mut entry = vec![0u8; 128];
            for (at, letter) in name.encode_utf16().enumerate() {
                entry[at * 2..at * 2 + 2].copy_from_slice(&letter.to_le_bytes());
            }
            entry[64..66].copy_from_slice(&(name.len() as u16 * 2 + 2).to_le_bytes());
            entry[66] = kind;
            entry[116..120].copy_from_slice(&start.to_le_bytes());
            entry[120..124].copy_from_slice(&length.to_le_bytes());
            file.extend(entry);
        }
        file.resize(512 * 3, 0);
        file.extend(stream);
        file
    }

    #[test]
    fn an_ordinary_workbook_passes() {
        check(&workbook(&[(0, 0, Err("企业名称")), (1, 0, Err("示例公司")), (1, 1, Ok(5.0))])).unwrap();
    }

    #[test]
    fn a_password_is_said_to_be_one() {
        let mut file = workbook(&[(0, 0, Err("企业名称"))]);
        // another entry of the directory
        let name: Vec<u8> = "EncryptedPackage".encode_utf16().flat_map(u16::to_le_bytes).collect();
        file[1280..1280 + name.len()].copy_from_slice(&name);
        assert!(check(&file).unwrap_err().to_string().contains("password"));
    }

    #[test]
    fn cells_far_apart_are_refused() {
        let file = workbook(&[(0, 0, Ok(1.0)), (65_535, 65_535, Ok(1.0))]);
        assert!(matches!(check(&file), Err(NotAnUpload::TooLarge { .. })));
    }

    #[test]
    fn a_long_string_named_often_is_refused() {
        let parts: Vec<u8> = [&[0u8; 8][..], &30_000u16.to_le_bytes(), &[0], &vec![b'x'; 8000]].concat();
        let more = [&[0u8][..], &vec![b'x'; 22_000]].concat();
        let lengths = string_lengths(&[&parts, &more]).unwrap();
        assert_eq!(lengths, [90_000]);
        let mut sheet = Vec::new();
        for row in 0..2000u16 {
            record(&mut sheet, 0x00FD, &[&row.to_le_bytes()[..], &[0; 8]].concat());
        }
        let (cells, text) = sheet_size(&sheet, &lengths);
        assert_eq!(cells, 2000);
        assert!(text > MAX_TEXT);
    }

    proptest! {
        #[test]
        fn a_damaged_workbook_never_panics(at in 0usize..6000, byte: u8, cut in 0usize..6000) {
            let mut file = workbook(&[(0, 0, Err("企业名称")), (1, 0, Err("示例公司")), (1, 1, Ok(5.0))]);
            let at = at % file.len();
            file[at] = byte;
            let _ = check(&file);
            file.truncate(cut);
            let _ = check(&file);
        }
    }
}
