-- What the customers of a tier have in common, in numbers: mean and median of every indicator, against the mean over
-- all customers of the scheme. A customer without a value counts in neither mean.
with tiers as (

    select * from {{ ref('fct_customer_tiers') }}

),

indicators as (

    select * from {{ ref('fct_customer_indicators') }}

),

as_of_dates as (

    select * from {{ ref('int_as_of_dates') }}

),

dictionary as (

    select * from {{ source('rules', 'indicators') }}

),

tier_ranks as (

    select * from {{ source('rules', 'tiers') }}

),

-- One pass over the wide table: long rows of every indicator and scheme would be many times as many.
measured as (

    select
        tiers.scheme,
        tiers.effective_tier as tier,
        tiers.as_of_date,
        {%- for indicator in indicators('number') %}
        count(indicators.{{ indicator }}) as {{ indicator }}_counted,
        sum(cast(indicators.{{ indicator }} as decimal(24, 6))) as {{ indicator }}_total,
        {{ median_of('indicators.' ~ indicator) }} as {{ indicator }}_median,
        {%- endfor %}
        count(*) as customers
    from tiers
    inner join indicators
        on
            tiers.customer_id = indicators.customer_id
            and tiers.as_of_date = indicators.as_of_date
    group by tiers.scheme, tiers.effective_tier, tiers.as_of_date

),

sums as (

    {% for indicator in indicators('number') -%}
    select
        scheme,
        tier,
        as_of_date,
        '{{ indicator }}' as indicator,
        customers,
        {{ indicator }}_counted as customers_with_value,
        {{ indicator }}_total as value_total,
        {{ indicator }}_median as median_value
    from measured
    {% if not loop.last %}union all{% endif %}
    {% endfor %}

),

compared as (

    select
        scheme,
        tier,
        as_of_date,
        indicator,
        customers,
        customers_with_value,
        median_value,
        {{ mean_of('value_total', 'customers_with_value') }} as mean_value,
        {{ mean_of(
            'sum(value_total) over (partition by scheme, as_of_date, indicator)',
            'sum(customers_with_value) over (partition by scheme, as_of_date, indicator)'
        ) }} as scheme_mean
    from sums

)

select
    compared.scheme,
    compared.tier,
    compared.as_of_date,
    tier_ranks.tier_rank,
    compared.indicator,
    dictionary.label_en,
    dictionary.label_zh,
    dictionary.unit,
    cast(compared.customers as integer) as customers,
    cast(compared.customers_with_value as integer) as customers_with_value,
    compared.mean_value,
    compared.median_value,
    compared.scheme_mean,
    case
        when compared.scheme_mean > 0 and compared.mean_value >= 0
            then {{ ratio('compared.mean_value', 'compared.scheme_mean') }}
    end as index_to_scheme
from compared
inner join as_of_dates
    on compared.as_of_date = as_of_dates.as_of_date
inner join dictionary
    on
        as_of_dates.rules_version = dictionary.rules_version
        and compared.indicator = dictionary.indicator
left join tier_ranks
    on
        as_of_dates.rules_version = tier_ranks.rules_version
        and compared.scheme = tier_ranks.scheme
        and compared.tier = tier_ranks.tier
