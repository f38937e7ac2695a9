/// What a piece of text tells by its colour. Nothing is told by colour alone.
enum Tint: Sendable, Hashable {
    case good, warning, bad, strong, faint

    /// The parameters of an ANSI "select graphic rendition" sequence.
    fileprivate var code: String {
        switch self {
        case .good: "32"
        case .warning: "33"
        case .bad: "31"
        case .strong: "1"
        case .faint: "2"
        }
    }
}

/// Text in pieces, each with its tint: its width is known before the escape sequences are in.
struct StyledText: Sendable, Hashable, ExpressibleByStringInterpolation {
    struct Piece: Sendable, Hashable {
        var text: String
        var tint: Tint?
    }

    var pieces: [Piece]

    init(_ text: String, _ tint: Tint? = nil) {
        pieces = text.isEmpty ? [] : [Piece(text: Self.printable(text), tint: tint)]
    }

    init(stringLiteral text: String) { self.init(text) }

    static func + (a: Self, b: Self) -> Self {
        var sum = a
        sum.pieces += b.pieces
        return sum
    }

    var width: Int { pieces.reduce(0) { $0 + $1.text.count } }
    var isEmpty: Bool { pieces.isEmpty }
    var plain: String { pieces.map(\.text).joined() }

    /// As a terminal shows it.
    func rendered(colour: Bool) -> String {
        guard colour else { return plain }
        return pieces.map { piece in
            piece.tint.map { "\u{1B}[\($0.code)m\(piece.text)\u{1B}[0m" } ?? piece.text
        }.joined()
    }

    /// With spaces up to `width`, behind the text or in front of it.
    func padded(to width: Int, right: Bool = false) -> Self {
        guard self.width < width else { return self }
        let space = StyledText(String(repeating: " ", count: width - self.width))
        return right ? space + self : self + space
    }

    /// At most `width` characters; what is cut shows as `~`.
    func cut(to width: Int) -> Self {
        guard self.width > width, width > 0 else { return self }
        var left = width - 1
        var short = StyledText("")
        for piece in pieces where left > 0 {
            let text = piece.text.prefix(left)
            left -= text.count
            short.pieces.append(Piece(text: String(text), tint: piece.tint))
        }
        return short + "~"
    }

    /// Text of other people's making must not move the cursor: control characters become spaces.
    private static func printable(_ text: String) -> String {
        String(
            text.map { character in
                character.unicodeScalars.contains { $0.properties.generalCategory == .control } ? " " : character
            })
    }
}

/// Breaks sentences at spaces.
enum Paragraph {
    /// Lines of at most `width` characters; a word that is longer is cut into pieces.
    static func lines(_ text: String, width: Int) -> [String] {
        let width = max(8, width)
        var lines: [String] = []
        var line = ""
        for word in text.split(whereSeparator: \.isWhitespace) {
            var rest = word
            if !line.isEmpty, line.count + 1 + rest.count > width {
                lines.append(line)
                line = ""
            }
            while rest.count > width, line.isEmpty {
                lines.append(String(rest.prefix(width)))
                rest = rest.dropFirst(width)
            }
            line += (line.isEmpty ? "" : " ") + rest
        }
        if !line.isEmpty { lines.append(line) }
        return lines
    }

    /// `label` in a column of its own, the text wrapped beside it.
    static func labelled(_ label: String, _ text: String, _ tint: Tint? = nil, labelWidth: Int, width: Int)
        -> [StyledText]
    {
        lines(text, width: width - labelWidth).enumerated().map { index, line in
            StyledText(index == 0 ? label : "", .faint).padded(to: labelWidth) + StyledText(line, tint)
        }
    }
}
