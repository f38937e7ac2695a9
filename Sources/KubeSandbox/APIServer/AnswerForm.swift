/// Content negotiation: what the API server can answer with, from an `Accept` header.
enum AnswerForm: Sendable, Equatable {
    case json
    case table
    case partialMetadata
    case aggregatedDiscovery
    /// Nothing that the client takes is on offer.
    case none

    init(accept header: String?) {
        guard let header, !header.isEmpty else {
            self = .json
            return
        }
        for range in header.split(separator: ",") {
            if let offer = Self.offer(range) {
                self = offer
                return
            }
        }
        self = .none
    }

    private static func offer(_ range: Substring) -> AnswerForm? {
        let parts = range.split(separator: ";").map { $0.filter { $0 != " " } }
        guard let type = parts.first, ["application/json", "*/*", "application/*", "application/yaml"].contains(type)
        else {
            return nil
        }
        var parameters: [String: String] = [:]
        for part in parts.dropFirst() {
            let pair = part.split(separator: "=", maxSplits: 1).map(String.init)
            if pair.count == 2 { parameters[pair[0]] = pair[1] }
        }
        switch parameters["as"] {
        case nil: return type == "application/yaml" ? nil : .json
        case "Table": return parameters["v"] == "v1" ? .table : nil
        case "PartialObjectMetadata", "PartialObjectMetadataList":
            return parameters["v"] == "v1" ? .partialMetadata : nil
        case "APIGroupDiscoveryList": return parameters["v"] == "v2" ? .aggregatedDiscovery : nil
        default: return nil
        }
    }
}
