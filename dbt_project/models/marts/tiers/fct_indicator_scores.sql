-- Why a customer has its score: per scheme and indicator the raw value, its score by the bands, the weight and
-- the points. Points of a customer and scheme add up to its score exactly (decimals). In a scheme of kind
-- `bands` the score is the raw value itself. A missing value has no score: the customer is pending.
with indicator_values as (

    select * from {{ ref('int_indicator_values') }}

),

populations as (

    select
        customer_id,
        as_of_date,
        coalesce(order_frequency, 0) > 0 as is_buyer
    from {{ ref('fct_customer_indicators') }}

),

as_of_dates as (

    select * from {{ ref('int_as_of_dates') }}

),

schemes as (

    select * from {{ source('rules', 'schemes') }}

),

scheme_indicators as (

    select * from {{ source('rules', 'scheme_indicators') }}

),

score_bands as (

    select * from {{ source('rules', 'score_bands') }}

),

chosen as (

    select
        populations.customer_id,
        schemes.scheme,
        scheme_indicators.indicator,
        populations.as_of_date,
        schemes.kind,
        schemes.rules_version,
        scheme_indicators.weight,
        indicator_values.raw_value
    from populations
    inner join as_of_dates
        on populations.as_of_date = as_of_dates.as_of_date
    inner join schemes
        on
            as_of_dates.rules_version = schemes.rules_version
            and (schemes.population = 'all' or populations.is_buyer)
    inner join scheme_indicators
        on
            schemes.rules_version = scheme_indicators.rules_version
            and schemes.scheme = scheme_indicators.scheme
    inner join indicator_values
        on
            populations.customer_id = indicator_values.customer_id
            and populations.as_of_date = indicator_values.as_of_date
            and scheme_indicators.indicator = indicator_values.indicator

),

scored as (

    select
        chosen.customer_id,
        chosen.scheme,
        chosen.indicator,
        chosen.as_of_date,
        chosen.raw_value,
        chosen.weight,
        case
            when chosen.kind = 'bands' then chosen.raw_value
            when chosen.raw_value is not null then score_bands.score
        end as score
    from chosen
    left join score_bands
        on
            chosen.rules_version = score_bands.rules_version
            and chosen.scheme = score_bands.scheme
            and chosen.indicator = score_bands.indicator
            and {{ in_band('chosen.raw_value', 'score_bands') }}
            and chosen.raw_value is not null

)

select
    customer_id,
    scheme,
    indicator,
    as_of_date,
    raw_value,
    cast(score as decimal(24, 6)) as score,
    weight,
    cast(cast(score as decimal(24, 6)) * weight as decimal(30, 12)) as points,
    score is null as is_pending
from scored
