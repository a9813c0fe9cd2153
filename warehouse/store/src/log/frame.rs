//! Groups of frames as bytes. Pure: what is read and written stands in `segment.rs`.
//!
//! A segment is a header block and then groups. A group starts at a multiple of [`BLOCK`]:
//! `magic, number, bytes of its frames, count of its frames, crc of these`, then per frame `length, crc, payload`.

use std::ops::Range;

/// Groups start at multiples of this: the unit in which disks and page caches write.
pub(crate) const BLOCK: usize = 4096;
const SEGMENT_MAGIC: &[u8; 8] = b"ATALOG01";
const GROUP_MAGIC: &[u8; 8] = b"ATGROUP1";
const GROUP_HEADER: usize = 28;
const FRAME_HEADER: usize = 8;

/// The header block of a segment whose first group has this number.
pub(crate) fn segment_header(first_group: u64) -> Vec<u8> {
    let mut block = Vec::with_capacity(BLOCK);
    block.extend_from_slice(SEGMENT_MAGIC);
    block.extend_from_slice(&first_group.to_le_bytes());
    let crc = crc32c::crc32c(&block);
    block.extend_from_slice(&crc.to_le_bytes());
    block.resize(BLOCK, 0);
    block
}

fn read_segment_header(bytes: &[u8]) -> Option<u64> {
    let header = bytes.get(..20)?;
    let first_group = number(header, 8)?;
    let sound = header.starts_with(SEGMENT_MAGIC) && crc32c::crc32c(&header[..16]) == short(header, 16)?;
    sound.then_some(first_group)
}

/// Collects the frames of one group.
#[derive(Debug, Default)]
pub(crate) struct GroupWriter {
    bytes: Vec<u8>,
    frames: u32,
}

impl GroupWriter {
    /// Adds a request's frame, written by `encode` after what is there.
    pub(crate) fn frame<E>(&mut self, encode: impl FnOnce(&mut Vec<u8>) -> Result<(), E>) -> Result<(), E> {
        if self.bytes.is_empty() {
            self.bytes.resize(GROUP_HEADER, 0);
        }
        let start = self.bytes.len();
        self.bytes.resize(start + FRAME_HEADER, 0);
        if let Err(error) = encode(&mut self.bytes) {
            self.bytes.truncate(start);
            return Err(error);
        }
        let payload = start + FRAME_HEADER;
        let length = u32::try_from(self.bytes.len() - payload).unwrap_or(u32::MAX);
        let crc = crc32c::crc32c(&self.bytes[payload..]);
        self.bytes[start..start + 4].copy_from_slice(&length.to_le_bytes());
        self.bytes[start + 4..payload].copy_from_slice(&crc.to_le_bytes());
        self.frames += 1;
        Ok(())
    }

    /// The bytes of the frames so far.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether no frame was added.
    pub(crate) fn is_empty(&self) -> bool {
        self.frames == 0
    }

    /// The whole group, padded to full blocks.
    pub(crate) fn finish(&mut self, group: u64) -> &[u8] {
        let length = u32::try_from(self.bytes.len() - GROUP_HEADER).unwrap_or(u32::MAX);
        self.bytes[..8].copy_from_slice(GROUP_MAGIC);
        self.bytes[8..16].copy_from_slice(&group.to_le_bytes());
        self.bytes[16..20].copy_from_slice(&length.to_le_bytes());
        self.bytes[20..24].copy_from_slice(&self.frames.to_le_bytes());
        let crc = crc32c::crc32c(&self.bytes[..24]);
        self.bytes[24..28].copy_from_slice(&crc.to_le_bytes());
        let padded = self.bytes.len().next_multiple_of(BLOCK);
        self.bytes.resize(padded, 0);
        &self.bytes
    }

    /// Makes room for the next group, keeping the memory.
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.frames = 0;
    }
}

/// What a segment's bytes hold.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct SegmentBytes {
    /// The number its first group has or would have.
    pub(crate) first_group: u64,
    /// Number of the group after the last whole one.
    pub(crate) next_group: u64,
    /// Where that group would start.
    pub(crate) end: usize,
    /// The payload of each frame, in order.
    pub(crate) frames: Vec<Range<usize>>,
    /// Whether bytes of a broken group lie at the end: a write that was cut off and never acknowledged.
    pub(crate) torn: bool,
}

/// Why a segment cannot be read: the offset, and what is there.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Corrupt {
    pub(crate) offset: usize,
    pub(crate) reason: &'static str,
}

/// Reads a segment. A broken last group is a torn write; a broken group before a whole later one was acknowledged, for
/// a group is written only after the one before it was synced: that is corruption.
pub(crate) fn read_segment(bytes: &[u8]) -> Result<SegmentBytes, Corrupt> {
    let first_group = read_segment_header(bytes).ok_or(Corrupt {
        offset: 0,
        reason: "its header is damaged",
    })?;
    let mut read = SegmentBytes {
        first_group,
        next_group: first_group,
        end: BLOCK,
        frames: Vec::new(),
        torn: false,
    };
    while let Some((length, frames)) = read_group(bytes, read.end, read.next_group) {
        read.frames.extend(frames);
        read.next_group += 1;
        read.end = (read.end + length).next_multiple_of(BLOCK);
    }
    let rest = bytes.get(read.end..).unwrap_or_default();
    let later = (BLOCK..rest.len())
        .step_by(BLOCK)
        .any(|offset| group_header(bytes, read.end + offset).is_some_and(|(number, ..)| number > read.next_group));
    if later {
        return Err(Corrupt {
            offset: read.end,
            reason: "an acknowledged group is damaged: whole ones follow it",
        });
    }
    read.torn = rest.iter().any(|byte| *byte != 0);
    Ok(read)
}

fn group_header(bytes: &[u8], start: usize) -> Option<(u64, usize, u32)> {
    let header = bytes.get(start..start + GROUP_HEADER)?;
    let sound = header.starts_with(GROUP_MAGIC) && crc32c::crc32c(&header[..24]) == short(header, 24)?;
    sound.then_some((number(header, 8)?, short(header, 16)? as usize, short(header, 20)?))
}

/// The whole group of that number at `start`: its bytes with header, and where its payloads lie.
fn read_group(bytes: &[u8], start: usize, wanted: u64) -> Option<(usize, Vec<Range<usize>>)> {
    let (number, length, count) = group_header(bytes, start)?;
    if number != wanted {
        return None;
    }
    let end = start + GROUP_HEADER + length;
    let mut at = start + GROUP_HEADER;
    let mut frames = Vec::new();
    for _ in 0..count {
        let payload = at + FRAME_HEADER;
        let payload = payload..payload.checked_add(short(bytes, at)? as usize)?;
        if payload.end > end || crc32c::crc32c(bytes.get(payload.clone())?) != short(bytes, at + 4)? {
            return None;
        }
        at = payload.end;
        frames.push(payload);
    }
    (at == end).then_some((GROUP_HEADER + length, frames))
}

fn short(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn number(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Groups = Vec<Vec<Vec<u8>>>;

    fn segment(first: u64, groups: &Groups) -> (Vec<u8>, Vec<usize>) {
        let mut bytes = segment_header(first);
        let mut ends = Vec::new();
        for (number, frames) in (first..).zip(groups) {
            let mut writer = GroupWriter::default();
            for payload in frames {
                writer
                    .frame(|bytes| {
                        bytes.extend_from_slice(payload);
                        Ok::<_, ()>(())
                    })
                    .unwrap();
            }
            bytes.extend_from_slice(writer.finish(number));
            ends.push(bytes.len());
        }
        bytes.resize(bytes.len() + 3 * BLOCK, 0);
        (bytes, ends)
    }

    fn payloads(bytes: &[u8], read: &SegmentBytes) -> Vec<Vec<u8>> {
        read.frames.iter().map(|range| bytes[range.clone()].to_vec()).collect()
    }

    fn groups() -> impl Strategy<Value = Groups> {
        let payload = prop::collection::vec(any::<u8>(), 1..6000);
        prop::collection::vec(prop::collection::vec(payload, 1..4), 1..5)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn what_was_written_is_read(groups in groups(), first in 0_u64..1000) {
            let (bytes, ends) = segment(first, &groups);
            let read = read_segment(&bytes).unwrap();
            prop_assert_eq!(payloads(&bytes, &read), groups.concat());
            prop_assert_eq!(read.next_group, first + groups.len() as u64);
            prop_assert_eq!(read.end, *ends.last().unwrap());
            prop_assert!(!read.torn);
        }

        /// Whatever part of the last group reached the disk, all groups before it are read, and it whole or not at all.
        #[test]
        fn a_torn_group_is_cut(groups in groups(), lost in prop::collection::vec(any::<bool>(), 8)) {
            let (mut bytes, ends) = segment(7, &groups);
            let whole = bytes.clone();
            let start = if ends.len() > 1 { ends[ends.len() - 2] } else { BLOCK };
            for (sector, lost) in (start..*ends.last().unwrap()).step_by(512).zip(lost.into_iter().cycle()) {
                if lost {
                    bytes[sector..sector + 512].fill(0);
                }
            }
            let read = read_segment(&bytes).unwrap();
            let before = groups[..groups.len() - 1].concat();
            let kept = payloads(&bytes, &read);
            prop_assert!(kept == before || kept == groups.concat());
            prop_assert!(kept == before || bytes[..*ends.last().unwrap()] == whole[..*ends.last().unwrap()] || !read.torn);
        }

        /// A flipped bit in a group that others follow is told, and never read over or cut.
        #[test]
        fn damage_to_an_acknowledged_group_is_told(groups in groups(), place in any::<prop::sample::Index>(), bit in 0..8) {
            prop_assume!(groups.len() > 1);
            let (mut bytes, ends) = segment(7, &groups);
            let sound = bytes.clone();
            let at = BLOCK + place.index(ends[ends.len() - 2] - BLOCK);
            bytes[at] ^= 1_u8 << bit;
            match read_segment(&bytes) {
                Err(corrupt) => prop_assert!(corrupt.offset <= at),
                // Only padding may be damaged without harm.
                Ok(read) => prop_assert_eq!(payloads(&bytes, &read), payloads(&sound, &read_segment(&sound).unwrap())),
            }
        }
    }

    #[test]
    fn a_damaged_header_is_told() {
        let (mut bytes, _) = segment(1, &vec![vec![vec![1]]]);
        bytes[9] ^= 1;
        assert_eq!(read_segment(&bytes).unwrap_err().offset, 0);
        assert!(read_segment(&[]).is_err());
    }
}
