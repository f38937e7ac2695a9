/// A table of aligned columns for a terminal: headings, rows, and under a row a note that may be long.
struct TextTable: Sendable {
    struct Column: Sendable {
        var heading: String
        /// Numbers read better against the right edge.
        var alignsRight = false
        /// The column that gives way when the table is wider than the screen.
        var isFlexible = false
    }

    struct Row: Sendable {
        var cells: [StyledText]
        /// Wrapped below the row, indented.
        var note: StyledText?
    }

    private static let gap = 2
    private static let noteIndent = 4
    private static let narrowest = 8

    private let columns: [Column]
    private var rows: [Row] = []

    init(_ columns: [Column]) { self.columns = columns }

    /// Left-aligned columns; `right` names the ones that align right, `flexible` the one that gives way.
    init(_ headings: [String], right: Set<String> = [], flexible: String? = nil) {
        self.init(headings.map { Column(heading: $0, alignsRight: right.contains($0), isFlexible: $0 == flexible) })
    }

    var isEmpty: Bool { rows.isEmpty }

    mutating func add(_ cells: [StyledText], note: StyledText? = nil) { rows.append(Row(cells: cells, note: note)) }

    /// The lines, none of them wider than `width` as long as the fixed columns leave the flexible one room.
    func lines(width: Int, indent: Int = 0) -> [StyledText] {
        let widths = columnWidths(width - indent)
        let margin = StyledText(String(repeating: " ", count: indent))
        var lines = [margin + line(columns.map { StyledText($0.heading, .faint) }, widths)]
        for row in rows {
            lines.append(margin + line(row.cells, widths))
            guard let note = row.note, !note.isEmpty else { continue }
            let tint = note.pieces.first?.tint
            for text in Paragraph.lines(note.plain, width: width - indent - Self.noteIndent) {
                lines.append(
                    margin + StyledText(String(repeating: " ", count: Self.noteIndent)) + StyledText(text, tint))
            }
        }
        return lines
    }

    private func columnWidths(_ width: Int) -> [Int] {
        var widths = columns.indices.map { index in
            rows.reduce(columns[index].heading.count) { max($0, index < $1.cells.count ? $1.cells[index].width : 0) }
        }
        let excess = widths.reduce(0, +) + Self.gap * max(0, columns.count - 1) - width
        if excess > 0, let index = columns.firstIndex(where: \.isFlexible) {
            widths[index] = max(Self.narrowest, widths[index] - excess)
        }
        return widths
    }

    private func line(_ cells: [StyledText], _ widths: [Int]) -> StyledText {
        let gap = StyledText(String(repeating: " ", count: Self.gap))
        // Spaces behind the last cell that says something would only wrap on a narrow screen.
        let last = cells.lastIndex { !$0.isEmpty } ?? 0
        var line = StyledText("")
        for index in columns.indices where index <= last {
            let cell = (index < cells.count ? cells[index] : "").cut(to: widths[index])
            if index > 0 { line = line + gap }
            line =
                line
                + (index == last && !columns[index].alignsRight
                    ? cell : cell.padded(to: widths[index], right: columns[index].alignsRight))
        }
        return line
    }
}
