package import KubeCore

extension Schema {
    /// Fills in defaults where members are absent, from the outside in, as the API server does; and `absentValue`s.
    package func applyingDefaults(to value: JSONValue) -> JSONValue {
        switch (shape, value) {
        case (.object(let properties), .object(var members)):
            for property in properties {
                // A null that the schema does not allow counts as absent, as in the API server.
                if members[property.name]?.isNull == true { members[property.name] = nil }
                guard let member = members[property.name] ?? property.schema.defaultValue ?? property.schema.absentValue
                else { continue }
                members[property.name] = property.schema.applyingDefaults(to: member)
            }
            return .object(members)
        case (.array(let items, _), .array(let elements)):
            return .array(elements.map(items.applyingDefaults))
        case (.map(let values), .object(let members)):
            return .object(members.mapValues(values.applyingDefaults))
        default:
            return value
        }
    }
}
