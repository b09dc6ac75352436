//! Tables as laboratories send them, what is told of each, and what holds for any bytes.

use proptest::prelude::*;

use super::*;

/// The header and the rows, cells separated by `¦`, and each deviation as `line:column kind`.
fn check(bytes: impl AsRef<[u8]>, lines: &[&str], deviations: &[(usize, usize, Kind)]) {
    let bytes = bytes.as_ref();
    let table = decode(bytes, None).unwrap_or_else(|error| panic!("{}: {error}", bytes.escape_ascii()));
    let rows = std::iter::once(&table.columns).chain(table.rows.iter().map(|row| &row.cells));
    assert_eq!(rows.map(|cells| cells.join("¦")).collect::<Vec<_>>(), lines, "{}", bytes.escape_ascii());
    let found: Vec<_> =
        table.deviations.iter().map(|it| (it.line, it.column.unwrap_or(0), it.kind.clone())).collect();
    assert_eq!(found, deviations, "{}", bytes.escape_ascii());
}

#[test]
fn reads_tables_of_every_house() {
    check("code,value\nFE,5.10\nB12,\"<0,5\"\n", &["code¦value", "FE¦5.10", "B12¦<0,5"], &[]);
    check("\u{feff}code;value\r\nFE;5,10\r\n", &["code¦value", "FE¦5,10"], &[]);
    check("code\tvalue\rFE\t5.10\r", &["code¦value", "FE¦5.10"], &[]);
    check("code|value|unit\nFE|5.10|µmol/L", &["code¦value¦unit", "FE¦5.10¦µmol/L"], &[]);
    check("a,b\n\"x \"\"y\"\"\nz\",\"\"\n", &["a¦b", "x \"y\"\nz¦"], &[]);
    check("\"a,b;c;d\";e\n1;2\n", &["a,b;c;d¦e", "1¦2"], &[]);
    check(" code , value \n FE , 5 \n", &["code¦value", " FE ¦ 5 "], &[]);
    let utf_16: Vec<u8> = "\u{feff}a\tb\r\nµ\t€\r\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    check(utf_16, &["a¦b", "µ¦€"], &[]);
    check("a,b\n", &["a¦b"], &[]);
}

#[test]
fn tells_what_it_assumed_and_passed_over() {
    check(
        b"unit,note\n\nL,\xB5mol 95\x80\n",
        &["unit¦note", "L¦µmol 95€"],
        &[(2, 0, Kind::BlankLine), (3, 0, Kind::CharsetAssumed { assumed: "windows-1252" })],
    );
    check(
        "\n\nsample_id\n1\n,\n \n",
        &["sample_id", "1"],
        &[
            (1, 0, Kind::DelimiterUncertain),
            (1, 0, Kind::BlankLine),
            (2, 0, Kind::BlankLine),
            (5, 0, Kind::BlankRow),
            (6, 0, Kind::BlankLine),
        ],
    );
    check("a;b,c\n1;2,3\n", &["a;b¦c", "1;2¦3"], &[(1, 0, Kind::DelimiterUncertain)]);
    check("sep=;\r\na,b;c\r\n1;2\r\n", &["a,b¦c", "1¦2"], &[(1, 0, Kind::SeparatorLine)]);
    check(
        "a,b,\n1,2\u{0},\n",
        &["a¦b¦", "1¦2\u{0}¦"],
        &[(1, 3, Kind::HeaderBlank { used: false }), (2, 2, Kind::ControlCharacter)],
    );
}

#[test]
fn a_damaged_row_stands_alone() {
    let text = "id,code,value\n1,FE\n2,FE,5.1,9\n3,FE,5.2\n4,FE,5.3,\n5,\"FE\"x,5.4\n6,5\" tube,1\n";
    let cells = |kind: fn(usize, usize) -> Kind, found| kind(3, found);
    check(
        text,
        &["id¦code¦value", "1¦FE", "2¦FE¦5.1¦9", "3¦FE¦5.2", "4¦FE¦5.3¦", "5¦FEx¦5.4", "6¦5\" tube¦1"],
        &[
            (2, 0, cells(|expected, found| Kind::CellsMissing { expected, found }, 2)),
            (3, 0, cells(|expected, found| Kind::CellsExtra { expected, found, blank: false }, 4)),
            (5, 0, cells(|expected, found| Kind::CellsExtra { expected, found, blank: true }, 4)),
            (6, 2, Kind::TextAfterQuote),
            (7, 2, Kind::QuoteInside),
        ],
    );
    let table = decode(text.as_bytes(), None).unwrap();
    let damaged: Vec<_> = table
        .deviations
        .iter()
        .filter(|it| it.diagnostic().is_error())
        .map(|it| (it.row, it.code()))
        .collect();
    assert_eq!(damaged, [(Some(1), "M133"), (Some(2), "M133"), (Some(5), "M132")]);
    assert_eq!(table.cell(&table.rows[0], "value"), None);
    assert_eq!((table.cell(&table.rows[2], "value"), table.rows[2].line), (Some("5.2"), 4));
}

#[test]
fn a_column_is_found_by_a_name_of_its_own() {
    let text = "code,value,value,,,unit\nFE,5.1,6.1,x,,g/L\n";
    check(
        text,
        &["code¦value¦value¦¦¦unit", "FE¦5.1¦6.1¦x¦¦g/L"],
        &[
            (1, 3, Kind::HeaderTwice { first: 2 }),
            (1, 4, Kind::HeaderBlank { used: true }),
            (1, 5, Kind::HeaderBlank { used: false }),
        ],
    );
    let table = decode(text.as_bytes(), None).unwrap();
    assert_eq!((table.column("unit"), table.column("value"), table.column("none")), (Some(5), None, None));
}

#[test]
fn a_declared_delimiter_wins() {
    let table = decode(b"a,b,c|d\n1,2,3|4\n", Some(Delimiter::Pipe)).unwrap();
    assert_eq!((table.columns, table.deviations), (vec!["a,b,c".to_owned(), "d".to_owned()], Vec::new()));
}

#[test]
fn lines_are_counted_through_quoted_cells() {
    let table = decode(b"a,b\r\n\"1\r\n2\r3\n4\",x\r\n5,6\r\n", None).unwrap();
    assert_eq!(table.rows.iter().map(|row| (row.number, row.line)).collect::<Vec<_>>(), [(1, 2), (2, 6)]);
}

#[test]
fn refuses_what_is_no_table() {
    let refuse =
        |bytes: &[u8], error: Error| assert_eq!(decode(bytes, Some(Delimiter::Comma)).err(), Some(error));
    refuse(b"", Error::NoHeader);
    refuse(b"\xEF\xBB\xBF\r\n\r\n", Error::NoHeader);
    refuse(b"a,b\n1,\"open\n2,x\n3,y\n", Error::QuoteOpen { line: 2 });
    refuse(&vec![b','; COLUMNS_MAX], Error::TooManyColumns { line: 1, max: COLUMNS_MAX });
    let rows = "a,b\n".repeat(CELLS_MAX / 2 + 1);
    refuse(rows.as_bytes(), Error::TooManyCells { line: CELLS_MAX / 2 + 1, max: CELLS_MAX });
    refuse(&vec![b'a'; CELL_BYTES_MAX + 1], Error::CellTooLong { line: 1, max: CELL_BYTES_MAX });
    refuse(&vec![b'a'; BYTES_MAX + 1], Error::TooLong { max: BYTES_MAX });
}

#[test]
fn a_diagnostic_names_the_place_and_no_cell() {
    let table = decode(b"id,Quillfeather\n1\n", None).unwrap();
    let diagnostic = table.deviations[0].diagnostic();
    assert_eq!((diagnostic.code.as_str(), diagnostic.position.as_str()), ("M133", "line 2"));
    assert!(!format!("{diagnostic:?}").contains("Quillfeather"));
}

#[test]
fn bounds_the_list_of_deviations() {
    let table = decode(format!("a,b\n{}", "1\n".repeat(1500)).as_bytes(), None).unwrap();
    assert_eq!((table.rows.len(), table.deviations.len()), (1500, 1001));
    assert_eq!(table.deviations.last().map(|it| &it.kind), Some(&Kind::More { count: 500 }));
}

proptest! {
    /// Whatever the `csv` crate writes, we read as it was, in any delimiter.
    #[test]
    fn reads_what_is_written(
        rows in (1_usize..5).prop_flat_map(|width| {
            prop::collection::vec(prop::collection::vec("[^\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f\\x7f-\\x9f]{0,9}", width), 0..6)
        }),
        delimiter in prop::sample::select(Delimiter::ALL.to_vec()),
    ) {
        let width = rows.first().map_or(1, Vec::len);
        let mut writer = ::csv::WriterBuilder::new().delimiter(delimiter.byte()).from_writer(Vec::new());
        let header: Vec<_> = (0..width).map(|at| format!("column {at}")).collect();
        writer.write_record(&header).unwrap();
        for row in &rows {
            writer.write_record(row).unwrap();
        }
        let table = decode(&writer.into_inner().unwrap(), Some(delimiter)).unwrap();
        prop_assert_eq!(table.columns, header);
        let expected: Vec<_> = rows.iter().filter(|row| row.iter().any(|cell| !cell.trim().is_empty())).collect();
        let found: Vec<_> = table.rows.iter().map(|row| &row.cells).collect();
        prop_assert_eq!(found, expected);
        prop_assert!(table.deviations.iter().all(|it| matches!(it.kind, Kind::BlankLine | Kind::BlankRow)));
    }

    #[test]
    fn nothing_makes_it_panic(bytes in prop::collection::vec(prop_oneof![any::<u8>(), prop::sample::select(b",;\t|\"\r\n".to_vec())], 0..200)) {
        if let Ok(table) = decode(&bytes, None) {
            table.deviations.iter().for_each(|it| drop(it.diagnostic()));
        }
    }
}
