-- Level by ordered rules: the first rule whose conditions all hold. Conditions name an indicator, an operator and
-- a number, or a name (`in`: names separated by |) where the indicator's values are names; a missing value meets no
-- condition but `missing`; `always` meets every customer.
with members as (

    select * from {{ ref('int_scheme_members') }}

),

rules as (

    select
        rules_version,
        scheme,
        dimension,
        rule_order,
        tier,
        indicator,
        operator,
        value as name,
        try_cast(value as decimal(24, 6)) as number
    from {{ source('rules', 'rules') }}

),

indicator_values as (

    select * from {{ ref('int_indicator_values') }}
    where indicator in (select rules.indicator from rules)

),

conditions as (

    select
        members.customer_id,
        rules.scheme,
        rules.dimension,
        members.as_of_date,
        rules.rule_order,
        rules.tier as level,
        case rules.operator
            when 'always' then true
            when 'missing' then indicator_values.raw_value is null and indicator_values.raw_level is null
            when 'in' then position('|' || indicator_values.raw_level || '|' in '|' || rules.name || '|') > 0
            when '=' then coalesce(indicator_values.raw_value = rules.number, indicator_values.raw_level = rules.name)
            when '<>'
                then coalesce(indicator_values.raw_value <> rules.number, indicator_values.raw_level <> rules.name)
            when '>=' then indicator_values.raw_value >= rules.number
            when '>' then indicator_values.raw_value > rules.number
            when '<=' then indicator_values.raw_value <= rules.number
            when '<' then indicator_values.raw_value < rules.number
        end as holds
    from members
    inner join rules
        on
            members.rules_version = rules.rules_version
            and members.scheme = rules.scheme
    left join indicator_values
        on
            members.customer_id = indicator_values.customer_id
            and members.as_of_date = indicator_values.as_of_date
            and rules.indicator = indicator_values.indicator

),

met as (

    select
        customer_id,
        scheme,
        dimension,
        as_of_date,
        rule_order,
        max(level) as level
    from conditions
    group by customer_id, scheme, dimension, as_of_date, rule_order
    having min(case when holds then 1 else 0 end) = 1

),

first_met as (

    select
        customer_id,
        scheme,
        dimension,
        as_of_date,
        level,
        row_number() over (
            partition by customer_id, scheme, dimension, as_of_date
            order by rule_order
        ) as met_order
    from met

)

select
    customer_id,
    scheme,
    dimension,
    as_of_date,
    level
from first_met
where met_order = 1
