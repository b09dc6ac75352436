//! Characters and the bytes each was written with: for whoever changes characters and must leave everything else, so
//! that what is no text stays no text.

use std::ops::Range;

use encoding_rs::DecoderResult;
use encoding_rs::Encoding;

/// The characters of bytes, each with its bytes; U+FFFD for bytes that are none.
pub fn characters(encoding: &'static Encoding, bytes: &[u8]) -> Vec<(Range<usize>, char)> {
    if encoding == encoding_rs::UTF_8 {
        return utf_8(bytes);
    }
    let mut decoder = encoding.new_decoder_without_bom_handling();
    let mut found = Vec::with_capacity(bytes.len());
    let (mut start, mut read) = (0, 0);
    let mut out = [0; 16];
    while read < bytes.len() {
        // Byte by byte, so that each character's own bytes are known.
        let next = bytes.get(read..=read).unwrap_or_default();
        let is_last = read + 1 == bytes.len();
        let (result, taken, written) = decoder.decode_to_utf8_without_replacement(next, &mut out, is_last);
        read += taken;
        let text = std::str::from_utf8(out.get(..written).unwrap_or_default()).unwrap_or_default();
        for character in text.chars() {
            found.push((start..read, character));
            start = read;
        }
        if let DecoderResult::Malformed(..) = result {
            found.push((start..read, char::REPLACEMENT_CHARACTER));
            start = read;
        }
    }
    if start < bytes.len() {
        found.push((start..bytes.len(), char::REPLACEMENT_CHARACTER));
    }
    found
}

fn utf_8(bytes: &[u8]) -> Vec<(Range<usize>, char)> {
    let mut found = Vec::with_capacity(bytes.len());
    let mut at = 0;
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            found.push((at..at + character.len_utf8(), character));
            at += character.len_utf8();
        }
        if !chunk.invalid().is_empty() {
            found.push((at..at + chunk.invalid().len(), char::REPLACEMENT_CHARACTER));
            at += chunk.invalid().len();
        }
    }
    found
}

/// The bytes of one character; `None` where the encoding has none for it. Of an encoding that switches (ISO-2022-JP)
/// only the character's own, without the switches around it.
pub fn bytes_of(encoding: &'static Encoding, character: char) -> Option<Vec<u8>> {
    if encoding == encoding_rs::UTF_16LE || encoding == encoding_rs::UTF_16BE {
        let mut units = [0; 2];
        let little = encoding == encoding_rs::UTF_16LE;
        let write = |unit: &u16| if little { unit.to_le_bytes() } else { unit.to_be_bytes() };
        return Some(character.encode_utf16(&mut units).iter().flat_map(write).collect());
    }
    let mut buffer = [0; 4];
    let (bytes, _, unmappable) = encoding.encode(character.encode_utf8(&mut buffer));
    let bytes = bytes.as_ref();
    let own = if let [0x1B, _, _, own @ .., 0x1B, _, _] = bytes { own } else { bytes };
    (!unmappable).then(|| own.to_vec())
}

#[cfg(test)]
mod tests {
    use super::bytes_of;
    use super::characters;

    #[test]
    fn every_byte_belongs_to_one_character() {
        let cases: [(&'static encoding_rs::Encoding, &[u8], &str); 5] = [
            (encoding_rs::UTF_8, b"M\xC3\xBCl\xFFler", "Mül\u{fffd}ler"),
            (encoding_rs::WINDOWS_1252, b"M\xFCller", "Müller"),
            (encoding_rs::UTF_16LE, b"M\0\xFC\0", "Mü"),
            (encoding_rs::EUC_KR, b"\xB1\xE8a", "김a"),
            (encoding_rs::ISO_2022_JP, b"a\x1b$B;3ED\x1b(Bz", "a山田z"),
        ];
        for (encoding, bytes, text) in cases {
            let found = characters(encoding, bytes);
            assert_eq!(found.iter().map(|(_, it)| it).collect::<String>(), text);
            let mut end = 0;
            for (range, _) in &found {
                assert_eq!(range.start, end);
                end = range.end;
            }
            assert_eq!(end, bytes.len(), "{text}");
        }
    }

    #[test]
    fn a_character_has_its_own_bytes_only() {
        assert_eq!(bytes_of(encoding_rs::ISO_2022_JP, '山').unwrap(), b";3");
        assert_eq!(bytes_of(encoding_rs::WINDOWS_1252, 'ł'), None);
        assert_eq!(bytes_of(encoding_rs::UTF_16BE, 'é').unwrap(), [0, 0xE9]);
    }
}
