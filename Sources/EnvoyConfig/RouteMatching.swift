import EnvoyAPI
import MeshModel
import SwiftProtobuf

typealias EnvoyRouteMatch = Envoy_Config_Route_V3_RouteMatch
typealias EnvoyHeaderMatcher = Envoy_Config_Route_V3_HeaderMatcher

extension RequestMatch {
    /// Whether requests of this workload to this port can match at all: these parts are decided here, not by Envoy.
    func concerns(_ workload: WorkloadInstance, port called: Int) -> Bool {
        (port == nil || port == called)
            && (sourceNamespace == nil || sourceNamespace == workload.namespace)
            && sourceLabels.allSatisfy { workload.labels[$0.key] == $0.value }
    }

    /// Whether it looks at the request itself, and not only at who sends it where.
    var looksIntoRequests: Bool {
        uri != nil || method != nil || authority != nil || !headers.isEmpty || !withoutHeaders.isEmpty
            || !queryParameters.isEmpty
    }

    var envoyMatch: EnvoyRouteMatch {
        .with { match in
            switch uri {
            case .exact(let text): match.path = text
            case .prefix(let text): match.prefix = text
            case .regex(let text): match.safeRegex.regex = text
            case .present, nil: match.prefix = "/"
            }
            if ignoreURICase {
                switch uri {
                case .exact, .prefix: match.caseSensitive = false
                default: break
                }
            }
            if let method { match.headers.append(.init(":method", method)) }
            if let authority { match.headers.append(.init(":authority", authority)) }
            for (name, value) in headers.sorted(by: { $0.key < $1.key }) { match.headers.append(.init(name, value)) }
            for (name, value) in withoutHeaders.sorted(by: { $0.key < $1.key }) {
                var matcher = EnvoyHeaderMatcher(name, value)
                matcher.invertMatch = true
                // A request without the header is one that does not have the value.
                if value != .present { matcher.treatMissingHeaderAsEmpty = true }
                match.headers.append(matcher)
            }
            for (name, value) in queryParameters.sorted(by: { $0.key < $1.key }) {
                match.queryParameters.append(
                    .with {
                        $0.name = name
                        if value == .present { $0.presentMatch = true } else { $0.stringMatch = value.envoyMatcher }
                    })
            }
        }
    }
}

extension EnvoyHeaderMatcher {
    init(_ name: String, _ value: StringMatch) {
        self.init()
        self.name = name
        if value == .present { presentMatch = true } else { stringMatch = value.envoyMatcher }
    }
}

extension StringMatch {
    /// `present` is every string.
    var envoyMatcher: Envoy_Type_Matcher_V3_StringMatcher {
        .with {
            switch self {
            case .exact(let text): $0.exact = text
            // An empty prefix is refused by Envoy, and matches everything.
            case .prefix(""), .present: $0.safeRegex.regex = ".*"
            case .prefix(let text): $0.prefix = text
            case .regex(let text): $0.safeRegex.regex = text
            }
        }
    }
}
