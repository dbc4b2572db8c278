-- What the customers of a tier have in common, in names: the most frequent industries, sizes, regions and favourite
-- categories of a tier, with their share there and in the whole scheme. Ties by name.
{%- set attributes = {
    'industry_l1': ('Industry', '行业'),
    'industry_l2': ('Industry, second level', '细分行业'),
    'company_size': ('Company size', '企业规模'),
    'region': ('Region', '地区'),
    'preferred_category': ('Preferred category', '偏好品类'),
} %}
with tiers as (

    select * from {{ ref('fct_customer_tiers') }}

),

customers as (

    select * from {{ ref('dim_customers') }}

),

indicators as (

    select * from {{ ref('fct_customer_indicators') }}

),

settings as (

    select * from {{ ref('int_mart_settings') }}

),

tier_ranks as (

    select * from {{ source('rules', 'tiers') }}

),

described as (

    select
        tiers.scheme,
        tiers.effective_tier as tier,
        tiers.as_of_date,
        customers.industry_l1,
        customers.industry_l2,
        customers.company_size,
        customers.region,
        indicators.preferred_category
    from tiers
    inner join customers
        on tiers.customer_id = customers.customer_id
    inner join indicators
        on
            tiers.customer_id = indicators.customer_id
            and tiers.as_of_date = indicators.as_of_date

),

attribute_values as (

    {% for name, (label_en, label_zh) in attributes.items() -%}
    select
        scheme,
        tier,
        as_of_date,
        '{{ name }}' as attribute,
        '{{ label_en }}' as label_en,
        '{{ label_zh }}' as label_zh,
        {{ name }} as attribute_value,
        count(*) as customers,
        count({{ name }}) as customers_with_value
    from described
    group by scheme, tier, as_of_date, {{ name }}
    {% if not loop.last %}union all{% endif %}
    {% endfor %}

),

compared as (

    select
        scheme,
        tier,
        as_of_date,
        attribute,
        label_en,
        label_zh,
        attribute_value,
        customers,
        sum(customers) over (partition by scheme, tier, as_of_date, attribute) as tier_customers,
        sum(customers_with_value) over (partition by scheme, tier, as_of_date, attribute) as tier_with_value,
        sum(customers) over (partition by scheme, as_of_date, attribute, attribute_value) as scheme_customers,
        sum(customers_with_value) over (partition by scheme, as_of_date, attribute) as scheme_with_value,
        row_number() over (
            partition by scheme, tier, as_of_date, attribute
            order by case when attribute_value is null then 1 else 0 end, customers desc, attribute_value asc
        ) as position
    from attribute_values

)

select
    compared.scheme,
    compared.tier,
    compared.as_of_date,
    tier_ranks.tier_rank,
    compared.attribute,
    compared.label_en,
    compared.label_zh,
    cast(compared.position as integer) as position,
    compared.attribute_value,
    cast(compared.customers as integer) as customers,
    cast(compared.tier_with_value as integer) as customers_with_value,
    cast(compared.tier_customers as integer) as tier_customers,
    {{ ratio('compared.customers', 'compared.tier_with_value') }} as share,
    {{ ratio('compared.scheme_customers', 'compared.scheme_with_value') }} as scheme_share
from compared
inner join settings
    on compared.as_of_date = settings.as_of_date
left join tier_ranks
    on
        settings.rules_version = tier_ranks.rules_version
        and compared.scheme = tier_ranks.scheme
        and compared.tier = tier_ranks.tier
where
    compared.attribute_value is not null
    and compared.position <= settings.profile_top_values
