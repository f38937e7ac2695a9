import FoundationEssentials
import NIOCore
import NIOHTTP1

/// The sample service: answers `/` by its settings, calls its downstreams, and says how it is.
///
/// Unchecked, because every member is read and written on `loop` only.
final class SampleService: Answerer, @unchecked Sendable {
    /// Starting and draining answer 503 on `/readyz`; only stopped refuses nothing more, since its sockets are gone.
    enum Phase: Sendable { case starting, serving, draining }

    static let faultHeader = "x-sample-fault"
    static let versionHeader = "x-served-version"
    static let chainHeader = "x-served-chain"
    /// Headers that carry a trace or a request's identity to the next hop.
    static let propagated = [
        "traceparent", "tracestate", "baggage", "b3", "x-b3-traceid", "x-b3-spanid", "x-b3-parentspanid",
        "x-b3-sampled",
        "x-b3-flags", "x-request-id",
    ]

    let settings: ServeSettings
    private(set) var phase = Phase.starting
    private let loop: any EventLoop
    private let client: WireClient
    private let startedAt = Date()
    private var metrics = ServeMetrics()
    private var random = SystemRandomNumberGenerator()
    private var inFlight = 0
    private var whenQuiet: EventLoopPromise<Void>?

    init(settings: ServeSettings, loop: any EventLoop) {
        self.settings = settings
        self.loop = loop
        client = WireClient(loop: loop)
    }

    var isClosing: Bool { phase == .draining }

    func becomeReady() { if phase == .starting { phase = .serving } }

    /// From now on not ready, and each connection ends with its current answer.
    func beginDraining() { phase = .draining }

    /// Completes when no request is in flight.
    func quiet() -> EventLoopFuture<Void> {
        guard inFlight > 0 else { return loop.makeSucceededVoidFuture() }
        let promise = whenQuiet ?? loop.makePromise(of: Void.self)
        whenQuiet = promise
        return promise.futureResult
    }

    func answer(_ head: HTTPRequestHead) -> EventLoopFuture<Reply> {
        let path = head.uri.prefix { $0 != "?" }
        switch path {
        case "/healthz": return loop.makeSucceededFuture(.text("ok\n"))
        case "/readyz": return loop.makeSucceededFuture(readiness)
        case "/info": return loop.makeSucceededFuture(info)
        case "/metrics":
            let text = metrics.prometheusText(
                name: settings.name, version: settings.version, connectionRetries: client.connectionRetries,
                inFlight: inFlight)
            return loop.makeSucceededFuture(.text(text))
        default: return work(head)
        }
    }

    private var readiness: Reply {
        phase == .serving ? .text("ready\n") : .text("\(phase)\n", status: .serviceUnavailable)
    }

    private var info: Reply {
        struct Info: Encodable {
            let name, version, pod, phase: String
            let startedAt: Date
        }
        let info = Info(
            name: settings.name, version: settings.version, pod: settings.pod, phase: "\(phase)", startedAt: startedAt)
        return .json(sampleJSON(info))
    }

    private func work(_ head: HTTPRequestHead) -> EventLoopFuture<Reply> {
        let begun = NIODeadline.now()
        inFlight += 1
        let fate = settings.fate(using: &random)
        let worked: EventLoopFuture<Reply>
        if fate.delay > .zero {
            worked = loop.flatScheduleTask(in: fate.delay) { self.finish(head, fate) }.futureResult
        } else {
            worked = finish(head, fate)
        }
        return worked.map { reply in
            let elapsed = Int((NIODeadline.now() - begun).nanoseconds / 1000)
            self.metrics.record(
                status: Int(reply.status.code), fault: reply.headers.first(name: Self.faultHeader),
                microseconds: elapsed)
            self.inFlight -= 1
            if self.inFlight == 0 { self.whenQuiet?.succeed() }
            return reply
        }
    }

    private func finish(_ head: HTTPRequestHead, _ fate: ServeSettings.Fate) -> EventLoopFuture<Reply> {
        guard !fate.fails else {
            return loop.makeSucceededFuture(
                reply(.internalServerError, fault: "injected", note: "injected fault", hops: []))
        }
        guard !settings.calls.isEmpty else { return loop.makeSucceededFuture(reply(.ok, hops: [])) }
        let headers = Self.handedOn(head.headers)
        let calls: EventLoopFuture<[Result<WireResponse, WireFailure>]>
        if settings.callsConcurrently {
            calls = EventLoopFuture.whenAllSucceed(settings.calls.map { call($0, headers) }, on: loop)
        } else {
            calls = settings.calls.reduce(loop.makeSucceededFuture([])) { earlier, url in
                earlier.flatMap { results in
                    if let last = results.last, !Self.isGood(last) { return self.loop.makeSucceededFuture(results) }
                    return self.call(url, headers).map { results + [$0] }
                }
            }
        }
        return calls.map { self.conclude($0) }
    }

    private static func handedOn(_ received: HTTPHeaders) -> HTTPHeaders {
        HTTPHeaders(propagated.flatMap { name in received[name].map { (name, $0) } })
    }

    private func call(_ url: WireURL, _ headers: HTTPHeaders) -> EventLoopFuture<Result<WireResponse, WireFailure>> {
        client.send(
            WireRequest(url: url, headers: headers), deadline: .now() + .milliseconds(Int64(settings.callTimeoutMS))
        )
        .map { .success($0) }
        .flatMapErrorWithEventLoop { error, loop in loop.makeSucceededFuture(.failure(WireFailure(error))) }
    }

    private static func isGood(_ result: Result<WireResponse, WireFailure>) -> Bool {
        if case .success(let response) = result { response.isSuccess } else { false }
    }

    /// Joins the downstream answers. A failure that a downstream injected stays marked as injected all the way up.
    private func conclude(_ results: [Result<WireResponse, WireFailure>]) -> Reply {
        var hops: [String] = []
        var problems: [String] = []
        var isInjected = false
        for (url, result) in zip(settings.calls, results) {
            switch result {
            case .success(let response):
                hops += response.head.headers[Self.chainHeader]
                guard !response.isSuccess else { continue }
                isInjected = isInjected || response.head.headers.first(name: Self.faultHeader) == "injected"
                problems.append("\(url) answered \(response.status): \(response.body.prefix(200))")
            case .failure(let failure): problems.append("\(url): \(failure)")
            }
        }
        guard !problems.isEmpty else { return reply(.ok, hops: hops) }
        return reply(
            .badGateway, fault: isInjected ? "injected" : "downstream", note: problems.joined(separator: "; "),
            hops: hops)
    }

    private func reply(_ status: HTTPResponseStatus, fault: String? = nil, note: String? = nil, hops: [String]) -> Reply
    {
        struct Body: Encodable {
            let service, version, pod: String
            let note: String?
        }
        let body = Body(service: settings.name, version: settings.version, pod: settings.pod, note: note)
        var reply = Reply.json(sampleJSON(body), status: status)
        reply.headers.add(name: "x-served-by", value: settings.pod)
        reply.headers.add(name: Self.versionHeader, value: settings.version)
        let chain = ["\(settings.name)=\(settings.version)"] + hops
        reply.headers.add(name: Self.chainHeader, value: chain.joined(separator: ","))
        if let fault { reply.headers.add(name: Self.faultHeader, value: fault) }
        return reply
    }
}

/// The value as one line of JSON with sorted keys, dates in RFC 3339 with milliseconds, and a newline.
func sampleJSON(_ value: some Encodable) -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    encoder.dateEncodingStrategy = .custom { date, encoder in
        var container = encoder.singleValueContainer()
        try container.encode(date.formatted(Date.ISO8601FormatStyle(includingFractionalSeconds: true)))
    }
    guard let data = try? encoder.encode(value) else { return "{}\n" }
    return String(decoding: data, as: UTF8.self) + "\n"
}
