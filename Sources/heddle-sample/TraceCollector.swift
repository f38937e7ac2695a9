import Foundation
import NIOCore
import NIOHTTP1

/// A collector of Zipkin spans (`POST /api/v2/spans`) that only counts: spans by service, traces, and traces that join
/// several services. `/summary` has the counts. For the demo and for tests, where no tracing backend runs.
///
/// Unchecked, because every member is read and written on `loop` only.
final class TraceCollector: Answerer, @unchecked Sendable {
    private struct Span: Decodable {
        struct Endpoint: Decodable { var serviceName: String? }
        var traceId: String
        var localEndpoint: Endpoint?
    }

    private struct Summary: Encodable {
        var spans: Int
        var traces: Int
        var joined: Int
        var services: [String: Int]
    }

    /// Traces beyond this many are not told apart any more.
    private static let traceLimit = 50_000
    private static let bodyLimit = 4 << 20

    private let loop: any EventLoop
    private var pending: [ObjectIdentifier: ByteBuffer] = [:]
    private var services: [String: Int] = [:]
    private var traces: [String: Set<String>] = [:]
    private var spans = 0

    init(loop: any EventLoop) { self.loop = loop }

    var isClosing: Bool { false }

    func receive(_ part: ByteBuffer, of head: HTTPRequestHead, on connection: ObjectIdentifier) {
        guard head.method == .POST else { return }
        var body = pending.removeValue(forKey: connection) ?? ByteBuffer()
        guard body.readableBytes + part.readableBytes <= Self.bodyLimit else { return }
        body.writeImmutableBuffer(part)
        // Spans come as one JSON list: the body is complete when it reads as one.
        if let list = try? JSONDecoder().decode([Span].self, from: Data(body.readableBytesView)) {
            list.forEach(take)
        } else {
            pending[connection] = body
        }
    }

    func answer(_ head: HTTPRequestHead) -> EventLoopFuture<Reply> {
        if head.method == .POST {
            return loop.makeSucceededFuture(.text("", status: .accepted))
        }
        switch head.uri {
        case "/summary":
            let summary = Summary(
                spans: spans, traces: traces.count, joined: traces.values.count { $0.count > 1 },
                services: services)
            let text = (try? JSONEncoder().encode(summary)).map { String(decoding: $0, as: UTF8.self) } ?? "{}"
            return loop.makeSucceededFuture(.json(text + "\n"))
        case "/healthz", "/readyz": return loop.makeSucceededFuture(.text("ok\n"))
        default: return loop.makeSucceededFuture(.text("not here; /summary has the counts\n", status: .notFound))
        }
    }

    private func take(_ span: Span) {
        spans += 1
        let service = span.localEndpoint?.serviceName ?? "unknown"
        services[service, default: 0] += 1
        if traces.count < Self.traceLimit || traces[span.traceId] != nil {
            traces[span.traceId, default: []].insert(service)
        }
    }
}
