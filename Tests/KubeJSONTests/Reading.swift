import KubeJSON

/// What goes wrong when a text is read to its end; nil when nothing does.
func failure(
    _ bytes: [UInt8], isWhole: Bool = true, _ body: (inout JSONScanner) throws(JSONFailure) -> Void
) -> JSONFailure? {
    var scanner = JSONScanner(bytes.span, isWhole: isWhole)
    do throws(JSONFailure) {
        try body(&scanner)
        try scanner.end()
        return nil
    } catch {
        return error
    }
}

func failure(_ text: String, _ body: (inout JSONScanner) throws(JSONFailure) -> Void) -> JSONFailure? {
    failure(Array(text.utf8), body)
}
