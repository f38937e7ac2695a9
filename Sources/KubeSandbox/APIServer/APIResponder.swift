import FoundationEssentials
import HTTPTypes
import Hummingbird
import KubeCore
import NIOCore

/// Turns HTTP requests into API requests, and answers into HTTP responses.
struct APIResponder: Sendable {
    let server: APIServer
    let adminToken: String

    /// Largest request body taken, in bytes; a real server's limit is about the same.
    private static let bodyLimit = 3 << 20

    func respond(to request: Request) async -> Response {
        let path = RequestPath(request.head.path ?? "/")
        do throws(APIError) {
            if let answer = publicAnswer(path) { return answer }
            let caller = try server.impersonated(authenticate(request), request.headers)
            let accept = AnswerForm(accept: request.headers[.accept])
            if let resource = path.resource {
                return try await respond(to: request, path, resource, caller, accept)
            }
            guard request.method == .get || request.method == .head else { throw APIError.noSuchResource() }
            try server.authorize(
                caller, AccessAttributes(verb: "get", path: "/" + path.segments.joined(separator: "/")))
            return try document(path, accept, request.headers[.accept] ?? "")
        } catch {
            return HTTPAnswer.failure(error, path.resource, server.registry)
        }
    }

    // MARK: - Documents

    /// What needs no authentication: health and version.
    private func publicAnswer(_ path: RequestPath) -> Response? {
        switch path.segments.first {
        case "healthz", "livez", "readyz": HTTPAnswer.text("ok")
        case "version": HTTPAnswer.json(Self.version)
        default: nil
        }
    }

    private static let version: JSONValue = [
        "major": "1", "minor": "32", "gitVersion": "v1.32.0+heddle-sandbox", "gitCommit": "", "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z", "goVersion": "none", "compiler": "swiftc", "platform": "linux/amd64",
    ]

    private func document(_ path: RequestPath, _ accept: AnswerForm, _ header: String) throws(APIError) -> Response {
        let discovery = Discovery(types: server.registry.all)
        let segments = path.segments
        var found: JSONValue?
        switch segments.first {
        case nil:
            found = [
                "paths": ["/api", "/apis", "/healthz", "/livez", "/openapi/v2", "/openapi/v3", "/readyz", "/version"]
            ]
        case "api" where segments.count == 1, "apis" where segments.count == 1:
            let isCore = segments[0] == "api"
            if accept == .aggregatedDiscovery {
                return HTTPAnswer.json(
                    discovery.aggregated(isCore: isCore),
                    type: "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList")
            }
            found = isCore ? discovery.core : discovery.groupList
        case "api" where segments.count == 2: found = discovery.resources(group: "", version: segments[1])
        case "apis" where segments.count == 2: found = discovery.group(segments[1])
        case "apis" where segments.count == 3: found = discovery.resources(group: segments[1], version: segments[2])
        case "openapi" where segments.dropFirst().first == "v2":
            guard header.contains("protobuf") else {
                found = ["swagger": "2.0", "info": ["title": "Kubernetes", "version": "unversioned"], "paths": [:]]
                break
            }
            return HTTPAnswer.bytes(
                OpenAPI.emptyVersion2, type: "application/com.github.proto-openapi.spec.v2@v1.0+protobuf")
        case "openapi" where segments.dropFirst().first == "v3":
            let openAPI = OpenAPI(types: discovery.types, generation: server.registry.generation)
            let rest = segments.dropFirst(2).joined(separator: "/")
            found = rest.isEmpty ? openAPI.index : openAPI.document(rest)
        default: break
        }
        guard let found else { throw .noSuchResource() }
        guard accept != .none else { throw HTTPAnswer.notAcceptable }
        return HTTPAnswer.json(found)
    }

    // MARK: - Resources

    private func respond(
        to request: Request, _ path: RequestPath, _ resource: RequestPath.Resource, _ caller: Caller,
        _ accept: AnswerForm
    ) async throws(APIError) -> Response {
        guard
            let type = server.registry.type(
                group: resource.group, version: resource.version, resource: resource.resource)
        else { throw .noSuchResource() }
        var call = APIRequest(
            .get, type.gvr, namespace: resource.namespace, name: resource.name, subresource: resource.subresource,
            query: path.query)
        if accept == .none, resource.subresource != "log" { throw HTTPAnswer.notAcceptable }
        call.verb = try verb(of: request, resource, path)
        try server.authorize(caller, AccessAttributes(call, type))
        if resource.subresource == "log", request.method == .get {
            let log = try await server.openLog(call, type: type)
            return HTTPAnswer.stream(log, of: request)
        }
        if call.verb == .watch { return try watch(call, type, request, accept) }
        call.body = try await body(of: request)
        do {
            let answer = try await server.handle(call, caller: caller)
            return HTTPAnswer.render(answer, accept, include: Self.include(path), now: server.now())
        } catch {
            // Of an object that is to be made, only the body knows the name.
            var named = resource
            named.name = resource.name ?? call.body?[path: "metadata", "name"]?.string
            return HTTPAnswer.failure(error, named, server.registry)
        }
    }

    private func watch(_ call: APIRequest, _ type: ResourceType, _ request: Request, _ accept: AnswerForm)
        throws(APIError)
        -> Response
    {
        let frames = WatchFrames(
            type: type, accept: accept, include: Self.include(call.query["includeObject"]), now: server.now)
        do {
            let events = try server.openWatch(call, type: type, bufferSize: APIServer.watchBuffer) { $0 }
            return HTTPAnswer.watch(events, frames, of: request)
        } catch  where error.isExpired {
            // An expired watch is opened all the same and says so as its only event, as a real server does.
            return HTTPAnswer.lines([frames.failure(error)])
        }
    }

    private func verb(of request: Request, _ resource: RequestPath.Resource, _ path: RequestPath) throws(APIError)
        -> APIRequest.Verb
    {
        switch request.method {
        case .get, .head:
            if path.query["watch"].isTrue { return .watch }
            return resource.name == nil ? .list : .get
        case .post: return .create
        case .put: return .update
        case .delete: return resource.name == nil ? .deleteCollection : .delete
        case .patch:
            let type = Self.mediaType(request.headers[.contentType])
            if type == "application/apply-patch+json" { return .patch(.apply) }
            guard let patch = APIRequest.PatchType(rawValue: type) else {
                throw .unsupportedMediaType(
                    "the body of the request was in an unknown format - accepted media types include:"
                        + " application/json-patch+json, application/merge-patch+json,"
                        + " application/strategic-merge-patch+json, application/apply-patch+yaml")
            }
            return .patch(patch)
        default: throw .methodNotAllowed("the server does not allow this method on the requested resource")
        }
    }

    private func body(of request: Request) async throws(APIError) -> JSONValue? {
        let type = Self.mediaType(request.headers[.contentType])
        do {
            let buffer = try await request.body.collect(upTo: Self.bodyLimit)
            if buffer.readableBytes == 0 { return nil }
            let bytes = Array(buffer.readableBytesView)
            guard type.isEmpty || type.hasSuffix("json") || type.hasSuffix("yaml") || type.hasSuffix("protobuf") else {
                throw ProtobufBody.Unreadable(description: "content type \(type)")
            }
            if type == "application/vnd.kubernetes.protobuf" { return try ProtobufBody.parse(bytes) }
            return type.hasSuffix("yaml") ? try JSONValue.parse(yaml: bytes) : try JSONValue.parse(bytes)
        } catch let error as JSONSyntaxError {
            throw .badRequest("the body of the request is not valid JSON: \(error)")
        } catch let error as ProtobufBody.Unreadable {
            throw .unsupportedMediaType(
                "the body of the request was in an unknown format (\(error)) - accepted media types include:"
                    + " application/json, application/yaml")
        } catch {
            throw .badRequest("the body of the request cannot be read: \(error)")
        }
    }

    // MARK: - Details

    private func authenticate(_ request: Request) throws(APIError) -> Caller {
        let header = request.headers[.authorization] ?? ""
        guard header.lowercased().hasPrefix("bearer ") else { throw HTTPAnswer.unauthorized }
        let token = String(header.dropFirst(7))
        var caller: Caller
        if token == adminToken {
            caller = Caller(name: "kubernetes-admin", groups: ["system:masters", "system:authenticated"])
        } else if case .success(let found) = server.authenticate(
            token: token, audiences: [server.configuration.tokenIssuer])
        {
            caller = found.caller
        } else {
            throw HTTPAnswer.unauthorized
        }
        caller.userAgent = request.headers[.userAgent] ?? ""
        return caller
    }

    /// The media type alone, in lower case.
    private static func mediaType(_ header: String?) -> String {
        String((header ?? "").prefix { $0 != ";" }).filter { $0 != " " }.lowercased()
    }

    private static func include(_ path: RequestPath) -> PrinterTable.Include { include(path.query["includeObject"]) }

    private static func include(_ text: String?) -> PrinterTable.Include {
        text.flatMap(PrinterTable.Include.init(rawValue:)) ?? .metadata
    }
}
