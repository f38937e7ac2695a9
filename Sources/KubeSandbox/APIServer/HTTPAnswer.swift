import FoundationEssentials
import HTTPTypes
import Hummingbird
import KubeCore
import NIOCore
import ServiceLifecycle

/// HTTP responses of the API server.
enum HTTPAnswer {
    static let unauthorized = APIError(code: 401, reason: "Unauthorized", message: "Unauthorized")
    static let notAcceptable = APIError(
        code: 406, reason: "NotAcceptable",
        message:
            "only the following media types are accepted: application/json, application/json;as=Table;v=v1;g=meta.k8s.io"
    )

    static func bytes(_ bytes: [UInt8], code: Int = 200, type: String = "application/json") -> Response {
        buffer(ByteBuffer(bytes: bytes), code: code, type: type)
    }

    static func json(_ value: JSONValue, code: Int = 200, type: String = "application/json") -> Response {
        bytes(value.serializedBytes(), code: code, type: type)
    }

    static func text(_ text: String) -> Response { bytes(Array(text.utf8), type: "text/plain; charset=utf-8") }

    private static func buffer(_ buffer: ByteBuffer, code: Int, type: String = "application/json") -> Response {
        Response(
            status: HTTPResponse.Status(code: code), headers: [.contentType: type, .cacheControl: "no-cache, private"],
            body: ResponseBody(byteBuffer: buffer))
    }

    /// A `Status`, with the details by which `kubectl` words its messages.
    static func failure(_ error: APIError, _ resource: RequestPath.Resource?, _ registry: ResourceRegistry) -> Response
    {
        var status = error.status
        status.change("details") { details in
            if let resource {
                let type = registry.type(group: resource.group, version: resource.version, resource: resource.resource)
                details["name"] = resource.name.map(JSONValue.string)
                details["group"] = resource.group.isEmpty ? .none : .string(resource.group)
                details["kind"] = .string(
                    error.reason == "Invalid" ? type?.kind ?? resource.resource : resource.resource)
            }
            if error.code == 409 { details.changeEach("causes") { $0["reason"] = "FieldManagerConflict" } }
        }
        var response = json(status, code: error.code == 0 ? 500 : error.code)
        if let seconds = error.retryAfterSeconds { response.headers[.retryAfter] = String(seconds) }
        return response
    }

    // MARK: - Answers

    static func render(_ answer: Answer, _ accept: AnswerForm, include: PrinterTable.Include, now: Date) -> Response {
        var response = body(answer, accept, include, now)
        for warning in answer.warnings {
            let quoted = warning.flatMap { $0 == "\"" || $0 == "\\" ? ["\\", $0] : $0.isNewline ? [" "] : [$0] }
            if let name = HTTPField.Name("Warning") {
                response.headers.append(HTTPField(name: name, value: "299 - \"\(String(quoted))\""))
            }
        }
        return response
    }

    private static func body(_ answer: Answer, _ accept: AnswerForm, _ include: PrinterTable.Include, _ now: Date)
        -> Response
    {
        switch (answer.body, accept) {
        case (.list(let page, let token), .table):
            let objects = page.items.map { answer.type.present($0.json) }
            return json(
                PrinterTable.table(
                    objects, answer.type, metadata: Answer.listMetadata(page, token), include: include, now: now),
                code: answer.code)
        case (.list(let page, let token), .partialMetadata):
            return json(
                [
                    "kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1",
                    "metadata": Answer.listMetadata(page, token),
                    "items": .array(page.items.map { PrinterTable.partial($0.json) }),
                ], code: answer.code)
        case (.list(let page, let token), _): return buffer(list(page, token, answer.type), code: answer.code)
        case (.stored(let object), .json) where answer.type.isStoredForm(object.json):
            return bytes(object.serialized, code: answer.code)
        case (_, .table) where answer.json["kind"]?.string == answer.type.kind:
            let object = answer.json
            let version = object[path: "metadata", "resourceVersion"] ?? ""
            return json(
                PrinterTable.table(
                    [object], answer.type, metadata: ["resourceVersion": version], include: include, now: now),
                code: answer.code)
        case (.stored, .partialMetadata): return json(PrinterTable.partial(answer.json), code: answer.code)
        default: return json(answer.json, code: answer.code)
        }
    }

    /// A list from the texts that its objects already have.
    private static func list(_ page: Store.Page, _ token: String?, _ type: ResourceType) -> ByteBuffer {
        var buffer = ByteBuffer()
        buffer.writeString(
            "{\"apiVersion\":\"\(type.apiVersion)\",\"kind\":\"\(type.listKind)\",\"metadata\":"
                + Answer.listMetadata(page, token).serialized() + ",\"items\":[")
        for (index, object) in page.items.enumerated() {
            if index > 0 { buffer.writeString(",") }
            buffer.writeBytes(
                type.custom == nil && type.isStoredForm(object.json) ? object.serializedItem : type.text(of: object))
        }
        buffer.writeString("]}")
        return buffer
    }

    // MARK: - Streams

    /// The framework closes a connection whose request it watched for the client's leaving; a client that is not told so may
    /// send its next request into it.
    private static func streamHeaders(_ type: String) -> HTTPFields {
        [.contentType: type, .cacheControl: "no-cache, private", .connection: "close"]
    }

    static func lines(_ lines: [ByteBuffer]) -> Response {
        Response(status: .ok, headers: [.contentType: "application/json"], body: ResponseBody(contentsOf: lines))
    }

    /// Streams a watch until it ends, the client goes away or the server shuts down.
    static func watch(_ events: AsyncThrowingStream<StoreEvent, any Error>, _ frames: WatchFrames, of request: Request)
        -> Response
    {
        let body = request.body
        return Response(
            status: .ok, headers: streamHeaders("application/json"),
            body: ResponseBody { writer in
                var output = writer
                do {
                    try await body.consumeWithCancellationOnInboundClose { _ in
                        for try await event in events.cancelOnGracefulShutdown() {
                            try await output.write(frames.frame(event))
                        }
                    }
                } catch let error as APIError {
                    try await output.write(frames.failure(error))
                }
                try await output.finish(nil)
            })
    }

    static func stream(_ chunks: AsyncStream<[UInt8]>, of request: Request) -> Response {
        let body = request.body
        return Response(
            status: .ok, headers: streamHeaders("text/plain; charset=utf-8"),
            body: ResponseBody { writer in
                var output = writer
                try await body.consumeWithCancellationOnInboundClose { _ in
                    for await chunk in chunks.cancelOnGracefulShutdown() {
                        try await output.write(ByteBuffer(bytes: chunk))
                    }
                }
                try await output.finish(nil)
            })
    }
}

extension ResourceType {
    /// An object as JSON text in this type's version.
    func text(of object: StoredObject) -> [UInt8] {
        isStoredForm(object.json) ? object.serialized : present(object.json).serializedBytes()
    }
}

/// Writes watch events as lines of JSON in the form that the client asked for.
struct WatchFrames: Sendable {
    let type: ResourceType
    let accept: AnswerForm
    let include: PrinterTable.Include
    let now: @Sendable () -> Date

    func frame(_ event: StoreEvent) -> ByteBuffer {
        var buffer = ByteBuffer()
        buffer.writeString("{\"type\":\"\(event.kind.rawValue)\",\"object\":")
        if accept == .json, let object = event.object {
            buffer.writeBytes(type.text(of: object))
        } else {
            buffer.writeBytes(
                shaped(APIServer.json(of: event, type), isBookmark: event.object == nil).serializedBytes())
        }
        buffer.writeString("}\n")
        return buffer
    }

    private func shaped(_ object: JSONValue, isBookmark: Bool) -> JSONValue {
        switch accept {
        case .table:
            PrinterTable.table(
                isBookmark ? [] : [object], type,
                metadata: ["resourceVersion": object[path: "metadata", "resourceVersion"] ?? ""], include: include,
                now: now())
        case .partialMetadata: PrinterTable.partial(object)
        default: object
        }
    }

    func failure(_ error: APIError) -> ByteBuffer {
        ByteBuffer(string: "{\"type\":\"ERROR\",\"object\":" + error.status.serialized() + "}\n")
    }
}
