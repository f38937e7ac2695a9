import AsyncHTTPClient
import KubeCore
import NIOCore

/// Reads the events of one watch response, as they are asked for.
actor WatchReader {
    /// What was asked, for messages.
    private let name: String
    private let maximumLineBytes: Int
    private var chunks: HTTPClientResponse.Body.AsyncIterator?
    private var lines = LineFramer()
    private var reader: JSONEventReader

    init(
        body: HTTPClientResponse.Body, name: String, keeping selection: FieldSelection = .everything,
        maximumLineBytes: Int
    ) {
        self.name = name
        self.maximumLineBytes = maximumLineBytes
        chunks = body.makeAsyncIterator()
        reader = JSONEventReader(keeping: selection)
    }

    /// The next event; nil when the server has ended the watch.
    /// - Throws: `APIError`: what the server sent as an `ERROR` event, or a lost connection (code 0).
    func next() async throws -> WatchEvent? {
        do {
            while true {
                if let line = lines.next() { return try event(line) }
                guard lines.pendingBytes <= maximumLineBytes else {
                    throw APIError(code: 0, reason: "InvalidAnswer", message: "\(name): an event is too large")
                }
                // Taken out while suspended: a second, concurrent reader finds the stream at its end.
                guard var chunks else { return nil }
                self.chunks = nil
                guard let chunk = try await chunks.next(isolation: self) else {
                    return try lines.rest().map(event)
                }
                self.chunks = chunks
                lines.feed(chunk)
            }
        } catch {
            chunks = nil
            throw APIError(transport: error, name, answerHadBegun: true)
        }
    }

    private func event(_ line: ByteBuffer) throws -> WatchEvent {
        let event: (type: String?, object: JSONValue?)
        do {
            event = try line.withSpan { line throws(JSONSyntaxError) in try reader.read(line) }
        } catch {
            throw APIError(code: 0, reason: "InvalidAnswer", message: "\(name): an event is \(error)")
        }
        guard let type = event.type, let object = event.object else {
            throw APIError(
                code: 0, reason: "InvalidAnswer", message: "\(name): an event without type or object")
        }
        if type == "ERROR" { throw APIError(status: object, httpCode: 500) }
        guard let kind = WatchEvent.Kind(rawValue: type) else {
            throw APIError(
                code: 0, reason: "InvalidAnswer", message: "\(name): an event of unknown type '\(type)'")
        }
        return WatchEvent(kind, KubeObject(json: object))
    }
}
